/** The derivative suite: every row of the table, forward and reversed, in float64 and on wasm. */
import type { Bijection } from '@invnet/layers';
import { reverse } from '@invnet/networks';
import { memory, type NumericArray, RandomStream, setBackend, type Tensor } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { assertBijection } from '../src/index.ts';
import { inputOf, type Row, rows, scatterParameters } from './rows.ts';

describe('in float64 on the reference backend', () => {
  it.each(rows)('$name', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    initialize(f, x);
    scatterParameters(f);
    await assertBijection(f, { x });
  });

  it.each(rows)('$name, reversed', async (row) => {
    await setBackend('reference', { dtype: 'float64' });
    const f = row.make();
    using x = inputOf(row);
    initialize(f, x);
    scatterParameters(f);
    const { y, logdet } = f.forward(x);
    logdet.dispose();
    await assertBijection(reverse(f), { x: y });
    y.dispose();
  });
});

/**
 * float32 keeps about 7 digits; gradients sum some hundred products whose rounding adds up, and a
 * pre-activation near zero may fall on the other side of a ReLU.
 */
const float32Tolerance = 2e-4;

describe('in float32 on wasm, against float64', () => {
  it.each(rows)('$name', async (row) => {
    const exact = await everything(row, 'reference');
    const found = await everything(row, 'wasm');
    expect(Object.keys(found)).toEqual(Object.keys(exact));
    for (const [name, values] of Object.entries(exact)) {
      expect(relativeDistance(found[name]!, values), name).toBeLessThan(float32Tolerance);
    }
  });
});

/** All results of the four methods that training uses, and the parameters' gradients. */
async function everything(
  row: Row,
  backend: 'reference' | 'wasm',
): Promise<Record<string, NumericArray>> {
  await setBackend(backend, { dtype: backend === 'wasm' ? 'float32' : 'float64' });
  const f = row.make();
  const x = inputOf(row);
  initialize(f, x);
  scatterParameters(f);
  const before = memory().liveBytes;
  const random = new RandomStream(5);
  const dy = random.normal(row.shape);
  const dlogdet = random.normal([row.shape[0]!]);
  const { y, logdet } = f.forward(x);
  const shaped = dy.reshape(y.shape);
  const inverse = f.inverse(y);
  const backward = f.backward(y, shaped, { dlogdet });
  const backwardInverse = f.backwardInverse(x, dy, { dlogdet });
  const jvp = f.jvp(x, { x: dy });
  const named: Record<string, Tensor> = { y, logdet };
  for (const [method, result] of Object.entries({ inverse, backward, backwardInverse, jvp })) {
    for (const [key, value] of Object.entries(result)) named[`${method}.${key}`] = value as Tensor;
  }
  for (const p of f.parameters) if (p.grad) named[`${p.name}.grad`] = p.grad;
  const results: Record<string, NumericArray> = {};
  for (const [name, t] of Object.entries(named)) results[name] = await t.data();
  for (const t of new Set([...Object.values(named), dy, dlogdet, shaped])) t.dispose();
  expect(memory().liveBytes).toBe(before);
  return results;
}

function initialize(f: Bijection, x: Tensor): void {
  for (const t of Object.values(f.forward(x))) t.dispose();
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
    const row = fc.constantFrom(...rows.filter((r) => !/Glow( |,).*D$/.test(r.name)));
    await fc.assert(
      fc.asyncProperty(row, fc.integer({ min: 1, max: 3 }), fc.nat(1000), async (r, n, seed) => {
        const f = r.make();
        const shape = [n, ...r.shape.slice(1, -1), 2 * r.shape.at(-1)!];
        using x = inputOf({ ...r, shape }, seed);
        initialize(f, x);
        scatterParameters(f);
        await assertBijection(f, { x, seed });
      }),
      { numRuns: 12, seed: 2 },
    );
  });
});
