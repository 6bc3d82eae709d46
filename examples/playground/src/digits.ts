/** Digits sampled from the model file that the example glow-mnist writes. */

import { setBackend } from '@invnet/tensor';
import { readSafetensors, restoreCheckpoint } from '@invnet/train';
import { buildFlow, side } from '../../glow-mnist/src/model.ts';

const count = 16;

/** @throws Error that says what is wrong with the file. */
export async function sampleDigits(
  bytes: Uint8Array,
  options: { temperature: number; seed: number },
): Promise<{ pixels: Float32Array; side: number; count: number }> {
  const { metadata } = readSafetensors(bytes, 'this file');
  const saved = metadata['glow-mnist'];
  if (saved === undefined) {
    throw new RangeError('This is not a model of digits: choose the model.safetensors of `start`.');
  }
  await setBackend('wasm');
  const flow = buildFlow(JSON.parse(saved).config);
  restoreCheckpoint(bytes, { parameters: flow.parameters }, 'this file');
  using images = flow.sample({ shape: [count, 1, side, side], ...options });
  return { pixels: Float32Array.from(await images.data()), side, count };
}
