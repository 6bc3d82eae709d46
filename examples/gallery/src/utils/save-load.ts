/** A whole flow in a safetensors file, loaded by code that knows nothing of how it was built. */
import { mkdir } from 'node:fs/promises';
import { Flow, flowCatalogue } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { loadModel, readModelInfo, saveModel } from '@invnet/train';
import { report } from '../check.ts';

const random = new RandomStream(1);
const x = random.normal([2, 1, 8, 8]);
const network = new Glow({ channels: 1, hidden: 8, scales: 2, steps: 2, random });
await initialize(network, x);
const saved = new Flow({ network });

await mkdir('out/gallery', { recursive: true });
const path = 'out/gallery/model.safetensors';
await saveModel(path, saved, { metadata: { data: 'noise' } });

const { config, metadata } = await readModelInfo(path);
console.log(`a ${config.$type} for ${metadata.data}:`, config.network);
const loaded = await loadModel(path, { modules: flowCatalogue, as: Flow });
await report('log-densities of the loaded flow', loaded.logProb(x), saved.logProb(x));
const what = { shape: x.shape, seed: 2 };
await report('its samples', loaded.sample(what), saved.sample(what));
