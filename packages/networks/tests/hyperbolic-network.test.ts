/** Deep hyperbolic networks as they are drawn: what recomputing the states does to their gradients. */
import { RandomStream, setBackend } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { HyperbolicNetwork } from '../src/index.ts';

interface Sizes {
  readonly channels: number;
  readonly ndims: number;
  readonly kernel: number;
  readonly hidden?: number;
  readonly size: number;
}

/** All gradients of a random linear loss. */
async function gradientsOf(depth: number, seed: number, sizes: Sizes): Promise<number[]> {
  const { hidden = sizes.channels, size, ...rest } = sizes;
  const random = new RandomStream(seed);
  const architecture = Array.from({ length: depth }, () => ({ hidden }));
  const net = new HyperbolicNetwork({ ...rest, architecture, random });
  const shape = [2, sizes.channels, ...new Array<number>(sizes.ndims).fill(size)];
  const { y } = net.forward([random.normal(shape), random.normal(shape)]);
  net.backward(y, [random.normal(shape), random.normal(shape)]);
  const all = await Promise.all(net.parameters.map((p) => p.grad!.data()));
  return all.flatMap((g) => [...g]);
}

/** ‖float32 − float64‖/‖float64‖ of the gradients. */
async function errorOf(depth: number, seed: number, sizes: Sizes): Promise<number> {
  await setBackend('wasm');
  const found = await gradientsOf(depth, seed, sizes);
  await setBackend('reference', { dtype: 'float64' });
  const expected = await gradientsOf(depth, seed, sizes);
  return Math.hypot(...found.map((g, i) => g - expected[i]!)) / Math.hypot(...expected);
}

describe('HyperbolicNetwork', () => {
  it.each<[number, Sizes]>([
    [16, { channels: 4, ndims: 2, kernel: 3, size: 6 }],
    [64, { channels: 4, ndims: 2, kernel: 3, size: 6 }],
    [64, { channels: 1, ndims: 2, kernel: 5, size: 6 }],
    [64, { channels: 9, ndims: 1, kernel: 3, size: 8 }],
    [64, { channels: 4, ndims: 2, kernel: 3, hidden: 16, size: 4 }],
    [64, { channels: 8, ndims: 2, kernel: 3, hidden: 2, size: 4 }],
    [64, { channels: 2, ndims: 3, kernel: 3, size: 4 }],
  ])('keeps the digits of its gradients through %i layers of %o', async (depth, sizes) => {
    const errors: number[] = [];
    for (const seed of [0, 1, 2]) errors.push(await errorOf(depth, seed, sizes));
    // A unit within rounding of ReLU's kink is on in one precision and off in the other: no fault, and
    // rare enough to leave two of three draws alone.
    expect(errors.sort((a, b) => a - b)[1]).toBeLessThan(1e-4);
  });
});
