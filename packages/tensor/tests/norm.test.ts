/** Norms and inner products against sums in double precision of scaled numbers, on any magnitude. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  getBackend,
  innerProduct,
  memory,
  norm,
  RandomStream,
  ShapeError,
  setBackend,
  tensor,
  ValueError,
} from '../src/index.ts';

const places = [
  { backend: 'reference', dtype: 'float64', exponents: [-300, 300], off: 1e-14 },
  { backend: 'reference', dtype: 'float32', exponents: [-36, 36], off: 2e-7 },
  { backend: 'wasm', dtype: 'float32', exponents: [-36, 36], off: 2e-7 },
] as const;

describe.each(places)('$backend, $dtype', ({ backend, dtype, exponents, off }) => {
  const exponent = fc.integer({ min: exponents[0], max: exponents[1] });
  const draw = (seed: number, sizes: readonly number[], power: number) => {
    const random = new RandomStream(seed);
    return sizes.map((size) => tensor(random.normalArray(size, 10 ** power)));
  };
  /** The numbers as they are on the backend, over 10 to a power. */
  const scaled = (tensors: ReturnType<typeof draw>, power: number) =>
    tensors.flatMap((t) => Array.from(t.dataSync(), (v) => v / 10 ** power));

  it('are right at every magnitude', async () => {
    await setBackend(backend, { dtype });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), sizes, exponent, exponent, async (seed, lengths, p, q) => {
        const [a, b] = [draw(seed, lengths, p), draw(seed + 1, lengths, q)];
        const [left, right] = [scaled(a, p), scaled(b, q)];
        const size = Math.hypot(...left);
        const { liveBytes, tensors } = memory();
        expect(Math.abs((await norm(a)) / 10 ** p / size - 1)).toBeLessThan(off);
        const product = left.reduce((total, v, i) => total + v * right[i]!, 0);
        const found = (await innerProduct(a, b)) / 10 ** p / 10 ** q;
        // Beyond double precision a product may be infinite, or zero, but nothing else.
        if (Math.abs(p + q) < 290) {
          expect(Math.abs(found - product)).toBeLessThan(4 * off * size * Math.hypot(...right));
        }
        expect(memory()).toMatchObject({ liveBytes, tensors });
        for (const t of [...a, ...b]) t.dispose();
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('keep zero, and say what is not finite', async () => {
    await setBackend(backend, { dtype });
    expect(await norm([])).toBe(0);
    expect(await norm([tensor([0, 0]), tensor([0])])).toBe(0);
    expect(await innerProduct([tensor([1, 0])], [tensor([0, 1])])).toBe(0);
    expect(await norm([tensor([1, Number.NEGATIVE_INFINITY])])).toBe(Number.POSITIVE_INFINITY);
    expect(await norm([tensor([Number.NaN]), tensor([1])])).toBeNaN();
    const [left, right] = [tensor([1e20, -1e20, 3e-20]), tensor([1e20, 1e20, 5e-20])];
    expect(Math.abs(await innerProduct([left], [right]))).toBeLessThan(1e33);
    expect(await norm([tensor([1e20, 1e20])])).toBeCloseTo(Math.SQRT2 * 1e20, -14);
    expect((await norm([tensor([1e-25, 1e-25])])) / 1e-25).toBeCloseTo(Math.SQRT2, 6);
    const least = dtype === 'float32' ? 2 ** -149 : 2 ** -1074;
    expect((await norm([tensor([least])])) / least).toBe(1);
  });

  it('loses no small product beside a number that none is made of', async () => {
    await setBackend(backend, { dtype });
    const product = await innerProduct([tensor([1e30, 1e-20])], [tensor([0, 1e-15])]);
    expect(product / 1e-35).toBeCloseTo(1, 6);
  });

  it('read once, as a rule', async () => {
    await setBackend(backend, { dtype });
    const tensors = draw(1, [5, 3], 0);
    const read = vi.spyOn(getBackend(), 'read');
    await norm(tensors);
    await innerProduct(tensors, tensors);
    expect(read).toHaveBeenCalledTimes(2);
    read.mockRestore();
  });

  it('refuse lists that do not pair', async () => {
    await setBackend(backend, { dtype });
    await expect(innerProduct([tensor([1])], [])).rejects.toThrow(ValueError);
    await expect(innerProduct([tensor([1])], [tensor([1, 2])])).rejects.toThrow(ShapeError);
  });
});
