/// <reference lib="esnext.float16" />
/**
 * Writes what the tab of brain scans brings along: the model that mri-posterior trained, its numbers in 16 bits and
 * without the optimizer's state, and slices to scan.
 *
 *   node scripts/ship-brain.ts out/mri-posterior/model.safetensors
 */
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { flowCatalogue } from '@invnet/flows';
import { RandomStream, setBackend } from '@invnet/tensor';
import { modelBytes, modelFromBytes } from '@invnet/train';
import { drawSlices, loadHead } from 'brain-mri';
import { encode } from 'fast-png';
import { brain, imageNoise } from 'mri-posterior/brain';
import { size } from '../src/brain/protocol.ts';

const mostBytes = 2e6;
/** Slices that show a brain, with and without a skull, of several contrasts and orientations, out of 48. */
const chosen = [42, 7, 12, 36, 20, 34, 25, 45];
const place = (file: string) => fileURLToPath(new URL(`../src/brain/${file}`, import.meta.url));

const [trained] = process.argv.slice(2);
if (trained === undefined) throw new RangeError('Name the file of a model.');
await setBackend('wasm');
const model = modelFromBytes(await readFile(trained), { modules: flowCatalogue }, trained);
const head = await loadHead();
const { noise, spread } = brain(head);
const metadata = {
  noise: String(noise),
  imageNoise: String(imageNoise),
  kappa: String(spread / noise),
};
const bytes = inHalfPrecision(await modelBytes(model, metadata));
if (bytes.length > mostBytes) {
  throw new RangeError(`The model takes ${bytes.length} bytes; expected at most ${mostBytes}.`);
}
await writeFile(place('model.safetensors'), bytes);
console.log(`${place('model.safetensors')}: ${bytes.length} bytes`);

const held = { count: 48, size, split: 'held-out', random: new RandomStream(7) } as const;
const slices = await drawSlices(head, held).data();
const area = size * size;
const data = Uint8Array.from(
  chosen.flatMap((i) => [...slices.subarray(i * area, (i + 1) * area)]),
  (v) => Math.round(255 * Math.max(0, v)),
);
const picture = { width: size, height: size * chosen.length, data, channels: 1, depth: 8 } as const;
await writeFile(place('slices.png'), encode(picture));

/** A safetensors file with all its F32 as F16, which readers turn back. */
function inHalfPrecision(file: Uint8Array<ArrayBuffer>): Uint8Array {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  const numbers = new Float16Array(new Float32Array(file.buffer, 8 + length));
  for (const [name, entry] of Object.entries<{ dtype: string; data_offsets: number[] }>(header)) {
    if (name === '__metadata__') continue;
    if (entry.dtype !== 'F32') throw new RangeError(`${name} is ${entry.dtype}; expected F32.`);
    entry.dtype = 'F16';
    entry.data_offsets = entry.data_offsets.map((offset) => offset / 2);
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const result = new Uint8Array(8 + text.length + numbers.byteLength);
  new DataView(result.buffer).setBigUint64(0, BigInt(text.length), true);
  result.set(text, 8);
  result.set(new Uint8Array(numbers.buffer), 8 + text.length);
  return result;
}
