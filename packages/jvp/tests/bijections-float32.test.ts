/** The derivative suite in float32: every row of the table on wasm, and what stands for all on gpu. */

import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { initialize } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { memory, type NumericArray, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { createGpuBackend } from '@invnet/tensor/gpu';
import { describe, expect, it } from 'vitest';
import type { Row } from './row.ts';
import { contextOf, inputOf, rows, scatterParameters } from './rows.ts';

/**
 * float32 keeps about 7 digits; gradients sum some hundred products whose rounding adds up, and a
 * pre-activation near zero may fall on the other side of a ReLU.
 */
const float32Tolerance = 2e-4;

/**
 * On gpu the first row of each type in 2D, and in 1D and 3D what stands for the rest: variants are made of the
 * same operations, as are maps of layers that stand there by themselves; kernels see three axes whatever the rank
 * is, and each new shape is compiled anew.
 */
const ofOthers = /^(InvertibleUNet|GraphNetwork|AxisHalves|compose)/;
const typeOf = (r: Row) => r.name.split(/,| with/)[0];
const onGpu = rows.filter(
  (r) =>
    (/2D$/.test(r.name) &&
      !ofOthers.test(r.name) &&
      rows.find((other) => /2D$/.test(other.name) && typeOf(other) === typeOf(r)) === r) ||
    /^(Conv1x1|HaarSqueeze), [13]D|^Glow, 3D|, (rational-quadratic|quadratic|linear), 2D$/.test(
      r.name,
    ),
);

describe.each([
  { backend: 'wasm' as const, chosen: rows },
  { backend: 'gpu' as const, chosen: onGpu },
])('in float32 on $backend, against float64', ({ backend, chosen }) => {
  it.each(chosen)('$name', async (row) => {
    const exact = await everything(row, 'reference');
    const found = await everything(row, backend);
    expect(Object.keys(found)).toEqual(Object.keys(exact));
    for (const [name, values] of Object.entries(exact)) {
      expect(relativeDistance(found[name]!, values), name).toBeLessThan(float32Tolerance);
    }
  });
});

describe('a training step of Glow on gpu', () => {
  it('gives the gradients that it gives on wasm', async () => {
    const [expected, found] = [await glowGradients('wasm'), await glowGradients('gpu')];
    expect(found.length).toBeGreaterThan(20);
    for (const [i, { name, values }] of expected.entries()) {
      expect(relativeDistance(found[i]!.values, values), name).toBeLessThan(1e-3);
    }
  });
});

/** One gpu backend for all rows, so that they share their compiled kernels. */
const gpu = await createGpuBackend();

function choose(backend: 'reference' | 'wasm' | 'gpu'): Promise<void> {
  if (backend === 'gpu') return setBackend(gpu);
  return setBackend(backend, { dtype: backend === 'reference' ? 'float64' : 'float32' });
}

async function glowGradients(backend: 'wasm' | 'gpu') {
  await choose(backend);
  const net = new Glow({
    channels: 1,
    hidden: 16,
    scales: 2,
    steps: 2,
    random: new RandomStream(4),
  });
  const flow = new Flow({ network: net });
  using x = new RandomStream(6).normal([4, 1, 16, 16]);
  await initialize(net, x);
  negativeLogLikelihood(flow, x).dispose();
  const gradients: { name: string; values: NumericArray }[] = [];
  for (const p of net.parameters) {
    if (p.grad) gradients.push({ name: p.name, values: await p.grad.data() });
  }
  return gradients;
}

/** All results of the four methods that training uses, and the parameters' gradients. */
async function everything(
  row: Row,
  backend: 'reference' | 'wasm' | 'gpu',
): Promise<Record<string, NumericArray>> {
  await choose(backend);
  const f = row.make();
  const x = inputOf(row);
  const context = contextOf(row);
  await initialize(f, x, { context });
  scatterParameters(f);
  const before = memory().liveBytes;
  const random = new RandomStream(5);
  const dy = random.normal(row.shape);
  // Another one, or the gradients of additive maps would cancel those of their inverses.
  const dx = random.normal(row.shape);
  const dlogdet = random.normal([row.shape[0]!]);
  const { y, logdet } = f.forward(x, context);
  const shaped = dy.reshape(y.shape);
  const inverse = f.inverse(y, context);
  const backward = f.backward(y, shaped, { dlogdet, context });
  const backwardInverse = f.backwardInverse(x, dx, { dlogdet, context });
  const jvp = f.jvp(x, { x: dy, context }, context);
  const named: Record<string, Tensor> = { y, logdet };
  for (const [method, result] of Object.entries({ inverse, backward, backwardInverse, jvp })) {
    for (const [key, value] of Object.entries(result)) named[`${method}.${key}`] = value as Tensor;
  }
  for (const p of f.parameters) if (p.grad) named[`${p.name}.grad`] = p.grad;
  const results: Record<string, NumericArray> = {};
  for (const [name, t] of Object.entries(named)) results[name] = await t.data();
  for (const t of new Set([...Object.values(named), dx, dy, dlogdet, shaped])) t.dispose();
  expect(memory().liveBytes).toBe(before);
  return results;
}

function relativeDistance(a: NumericArray, b: NumericArray): number {
  let [difference, size] = [0, 1e-2];
  b.forEach((v: number, i: number) => {
    const gap = Math.abs(v - a[i]!);
    if (Number.isNaN(gap) || gap > difference) difference = gap;
    size = Math.max(size, Math.abs(v));
  });
  return difference / size;
}
