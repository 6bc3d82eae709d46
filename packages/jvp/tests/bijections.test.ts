/** The derivative suite: every row of the table, forward and reversed, in float64, on wasm and on gpu. */

import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { type Bijection, initialize, zeroGrad } from '@invnet/layers';
import { Glow, reverse } from '@invnet/networks';
import { memory, type NumericArray, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { createGpuBackend } from '@invnet/tensor/gpu';
import { describe, expect, it } from 'vitest';
import { type DirectedMap, forwardMap, inverseMap } from '../src/directed.ts';
import { assertBijection } from '../src/index.ts';
import type { Row } from './row.ts';
import { contextOf, inputOf, rows, scatterParameters } from './rows.ts';

describe('in float64 on the reference backend', () => {
  it.each(rows)('$name', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    const context = contextOf(row);
    await initialize(f, x, { context });
    scatterParameters(f);
    await assertBijection(f, { x, ...(context && { context }) });
  });

  // What is checked above are both directions; those of the reverse are the same, bit for bit.
  it.each(rows)('$name, reversed', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    const context = contextOf(row);
    await initialize(f, x, { context });
    scatterParameters(f);
    const g = reverse(f);
    const { y, logdet } = f.forward(x, context);
    expect([g.outputShape(y.shape), g.inputShape(x.shape)]).toEqual([x.shape, y.shape]);
    const found = [
      resultsOf(f, forwardMap(g), y, context),
      resultsOf(f, inverseMap(g), x, context),
    ];
    expect(found).toEqual([
      resultsOf(f, inverseMap(f), y, context),
      resultsOf(f, forwardMap(f), x, context),
    ]);
    y.dispose();
    logdet.dispose();
  });
});

/**
 * float32 keeps about 7 digits; gradients sum some hundred products whose rounding adds up, and a
 * pre-activation near zero may fall on the other side of a ReLU.
 */
const float32Tolerance = 2e-4;

/**
 * On gpu in 2D, and in 1D and 3D what stands for the rest: kernels see three axes whatever the rank
 * is, and each new shape is compiled anew.
 */
const onGpu = rows.filter((r) => /2D$|^(Conv1x1|HaarSqueeze), |^Glow, 3D/.test(r.name));

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

/** Rows of layers that take any size, and so that of another one along the last axis. */
const anySize = rows.filter((r) =>
  /^(ActNorm|Logit|Conv1x1|GlowCoupling|ShuffleSqueeze|HaarSqueeze),.* [123]D$/.test(r.name),
);

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

/** All that a direction of f computes at u, with the parameters' gradients; nothing else is left. */
function resultsOf(f: Bijection, map: DirectedMap, u: Tensor, context: Tensor | undefined) {
  zeroGrad(f.parameters);
  const before = memory();
  const random = new RandomStream(5);
  const draw = (like: Tensor) => random.normal(like.shape);
  const { v, logdet } = map.apply(u, context);
  const [dv, dlogdet, x] = [draw(v), draw(logdet), draw(u)];
  const dcontext = context && draw(context);
  const trained = f.parameters.filter((p) => !p.frozen);
  const parameters = new Map(trained.map((p) => [p, draw(p.data)]));
  const back = map.back(v, dv, { dlogdet, context });
  const jvp = map.jvp(u, { x, context: dcontext, parameters }, context);
  const made = [v, logdet, ...Object.values(back), ...Object.values(jvp)];
  const results = [...made, ...f.parameters.map((p) => p.grad)].map((t) => t?.dataSync());
  const drawn = [dv, dlogdet, x, ...(dcontext ? [dcontext] : []), ...parameters.values()];
  for (const t of new Set([...made, ...drawn])) t.dispose();
  zeroGrad(f.parameters);
  expect(memory()).toMatchObject({ liveBytes: before.liveBytes, tensors: before.tensors });
  return results;
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

describe('shapes and seeds drawn at random', () => {
  it('keep the contract', async () => {
    const { default: fc } = await import('fast-check');
    await setBackend('reference', { dtype: 'float64' });
    const row = fc.constantFrom(...anySize);
    await fc.assert(
      fc.asyncProperty(row, fc.integer({ min: 1, max: 3 }), fc.nat(1000), async (r, n, seed) => {
        const f = r.make();
        const shape = [n, ...r.shape.slice(1, -1), 2 * r.shape.at(-1)!];
        using x = inputOf({ ...r, shape }, seed);
        await initialize(f, x);
        scatterParameters(f);
        await assertBijection(f, { x, seed });
      }),
      { numRuns: 12, seed: 2 },
    );
  });
});
