/** A network's parameters in a safetensors file, read back into another one. */
import { mkdir } from 'node:fs/promises';
import { Glow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { loadCheckpoint, saveCheckpoint } from '@invnet/train';
import { report } from '../check.ts';

const make = (seed: number) =>
  new Glow({ channels: 1, hidden: 8, scales: 2, steps: 2, random: new RandomStream(seed) });
const [saved, loaded] = [make(1), make(2)];
const x = new RandomStream(3).normal([2, 1, 8, 8]);
const { y } = saved.forward(x);

await mkdir('out/gallery', { recursive: true });
const path = 'out/gallery/model.safetensors';
await saveCheckpoint(path, { parameters: saved.parameters });
await loadCheckpoint(path, { parameters: loaded.parameters });
await report('the loaded network', loaded.forward(x).y, y);
