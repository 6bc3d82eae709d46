/** The classifier two-sample test tells what it should, and what the benchmark's classifier was recorded to. */
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { c2st } from '../src/index.ts';

beforeAll(() => setBackend('wasm'));

const random = new RandomStream(11);
const sample = (columns: number, change = (z: number) => z) => ({
  shape: [500, columns],
  data: random.normalArray(500 * columns).map(change),
});

describe('c2st', () => {
  it('is near a half for equal distributions, and near 1 for others', async () => {
    const { liveBytes } = memory();
    const equal = await c2st(sample(2), sample(2));
    expect(Math.abs(equal.accuracy - 0.5)).toBeLessThan(0.05);
    expect(equal.folds).toHaveLength(5);
    const far = await c2st(
      sample(2),
      sample(2, (z) => z + 6),
    );
    expect(far.accuracy).toBeGreaterThan(0.99);
    expect(memory().liveBytes).toBe(liveBytes);
  });

  it('counts samples that were not trained on, which a network of many units would know by heart', async () => {
    const few = () => ({ shape: [40, 10], data: random.normalArray(400) });
    const { accuracy } = await c2st(few(), few());
    expect(Math.abs(accuracy - 0.5)).toBeLessThan(0.2);
  });

  it("has the benchmark's accuracy, as recorded", async () => {
    const stream = new RandomStream(7);
    const x = stream.normalArray(4000);
    const z = stream.normalArray(4000);
    const y = z.map((v, i) => (i % 2 === 0 ? v : 0.5 * v + Math.sin(3 * z[i - 1]!)));
    const shape = [2000, 2];
    const { accuracy } = await c2st({ shape, data: x }, { shape, data: y });
    // What record-c2st.py said of them, with scikit-learn 1.9.1.
    expect(Math.abs(accuracy - 0.69425)).toBeLessThan(0.01);
  });

  it('is the same again for a seed, whatever the units of the samples', async () => {
    const [x, y] = [sample(1), sample(1, (z) => 0.5 * z)];
    const once = await c2st(x, y, { seed: 3 });
    expect(await c2st(x, y, { seed: 3 })).toEqual(once);
    const metres = ({ shape, data }: typeof x) => ({ shape, data: data.map((z) => 1024 * z) });
    expect(await c2st(metres(x), metres(y), { seed: 3 })).toEqual(once);
    // The best that can be done: the narrow one where |z| < 0.96, which is right for 66.5 %.
    expect(Math.abs(once.accuracy - 0.665)).toBeLessThan(0.03);
  });

  it('refuses what cannot be told apart by it, and ends when asked to', async () => {
    const { liveBytes } = memory();
    const constant = { shape: [4, 2], data: [1, 2, 1, 3, 1, 4, 1, 5] };
    const varied = { shape: [4, 2], data: [1, 2, 2, 3, 1, 4, 1, 5] };
    await expect(c2st(constant, varied)).rejects.toThrow(/number 0 of all reference samples is 1/);
    await expect(c2st(varied, { shape: [2, 2], data: [1, 2, 3, 4] })).rejects.toThrow(
      /4 samples of 2 numbers, and the samples are 2 of 2/,
    );
    await expect(c2st(varied, constant, { folds: 5 })).rejects.toThrow(/folds is 5/);
    const signal = AbortSignal.timeout(20);
    await expect(c2st(sample(5), sample(5), { signal })).rejects.toThrow(/timeout/);
    expect(memory().liveBytes).toBe(liveBytes);
  });
});
