/** Arguments and ranges of random numbers; their values are in tensor.test.ts. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  nextAbove,
  nextBelow,
  OutOfMemoryError,
  type RandomState,
  RandomStream,
  ShapeError,
  setBackend,
  ValueError,
} from '../src/index.ts';

beforeEach(() => setBackend('wasm'));

/** A stream whose every number is the largest, 1 − 2⁻²⁴, or the smallest, 0. */
class Extreme extends RandomStream {
  readonly #unit: number;

  constructor(unit: number) {
    super(0);
    this.#unit = unit;
  }

  override uniformArray(size: number, low = 0, high = 1): Float64Array<ArrayBuffer> {
    return new Float64Array(size).fill(low + (high - low) * this.#unit);
  }
}

describe('uniform', () => {
  const extremes = [new Extreme(0), new Extreme(1 - 2 ** -24), new Extreme(0.3)];

  it.each(['float32', 'float64'] as const)('stays in [low, high) in %s', async (dtype) => {
    await setBackend('reference', { dtype });
    const end = fc.oneof(
      fc.integer({ min: -9, max: 9 }),
      fc.double({ min: -1e30, max: 1e30, noNaN: true }),
      fc.constantFrom(0.1, 0.7, 1e-40, -1e-45, 2 ** 24, 1 + 2 ** -23),
    );
    fc.assert(
      fc.property(end, end, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const narrow = nextBelow(dtype, high) < low;
        for (const random of extremes) {
          if (narrow) expect(() => random.uniform([1], low, high)).toThrow(ValueError);
          else {
            const [v] = random.uniform([1], low, high).dataSync();
            expect(v).toBeGreaterThanOrEqual(low);
            expect(v).toBeLessThan(high);
          }
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('is what it was where it did not reach its end', async () => {
    const plain = new RandomStream(4).uniformArray(10_000, 1, 2);
    const [high] = new Extreme(1 - 2 ** -24).uniform([1], 1, 2).dataSync();
    expect(high).toBe(2 - 2 ** -23);
    const found = new RandomStream(4).uniform([10_000], 1, 2).dataSync();
    found.forEach((v, i) => {
      expect(v).toBe(Math.min(Math.fround(plain[i]!), 2 - 2 ** -23));
    });
    expect(new RandomStream(4).uniformArray(99, 0, 2 ** -1074)).toEqual(new Float64Array(99));
  });

  it.each([
    [1, 1],
    [2, 1],
    [Number.NaN, 1],
    [0, Number.POSITIVE_INFINITY],
    [-1e308, 1e308],
    [0, 1e39],
    [0.1, 0.1 + 1e-12],
    ['0' as unknown as number, 1],
  ])('refuses a range from %s to %s', (low, high) => {
    expect(() => new RandomStream(1).uniform([2], low, high)).toThrow(ValueError);
  });
});

describe('neighbours', () => {
  it('have no number of their type between them', () => {
    const any = fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, 1, -1, 2 ** -126, -(2 ** -126), 2 ** -149, 1024, -1024),
    );
    fc.assert(
      fc.property(any, (x) => {
        const below = nextBelow('float32', x);
        expect(below).toBeLessThan(x);
        expect(Math.fround(below)).toBe(below);
        const middle = Math.fround((below + x) / 2);
        expect(middle === below || middle === x || !Number.isFinite(below)).toBe(true);
        expect(nextAbove('float32', -x)).toBe(-below);
      }),
      { numRuns: 500, seed: 1 },
    );
    expect(nextBelow('float64', 1)).toBe(1 - 2 ** -53);
    expect(nextBelow('float64', -1)).toBe(-1 - 2 ** -52);
    expect(nextAbove('float64', 0)).toBe(2 ** -1074);
    expect(nextBelow('float32', 1 + 1e-9)).toBe(1);
  });
});

describe('streams', () => {
  const bad = ['7', 1.5, -1, Number.NaN, 2 ** 53, null, undefined, {}, [1]];

  it.each(bad)('refuse %s as a seed or a place', (value) => {
    const wrong = value as number;
    if (value !== undefined) expect(() => new RandomStream(1, wrong)).toThrow(ValueError);
    expect(() => new RandomStream(wrong)).toThrow(ValueError);
    expect(() => RandomStream.from({ seed: wrong, block: 0 })).toThrow(ValueError);
    expect(() => RandomStream.from({ seed: 1, block: wrong })).toThrow(/block is/);
    expect(() => RandomStream.from(wrong as unknown as RandomState)).toThrow(ValueError);
  });

  it('skip what they would have drawn', () => {
    const [drawn, skipped] = [new RandomStream(3), new RandomStream(3)];
    for (const size of [0, 1, 4, 5]) {
      drawn.uniformArray(size);
      skipped.skip(size);
    }
    expect(skipped.state).toEqual(drawn.state);
    expect(() => skipped.skip(-1)).toThrow(ValueError);
    expect(() => new RandomStream(1, 2 ** 53 - 2).skip(9)).toThrow(/block after these numbers/);
  });

  it('end at their last block instead of repeating it', () => {
    const last = new RandomStream(1, 2 ** 53 - 2);
    expect(last.uniformArray(4)).not.toEqual(new RandomStream(1, 2 ** 53 - 3).uniformArray(4));
    expect(() => last.uniformArray(1)).toThrow(/block after these numbers/);
  });

  it('draw nothing for a tensor that the backend has no room for', async () => {
    await setBackend('wasm', { maxBytes: 2 ** 22 });
    const random = new RandomStream(1);
    for (const shape of [[2 ** 21], [1000, 1000, 3, 3], [2 ** 30, 2 ** 30]]) {
      expect(() => random.normal(shape)).toThrow(OutOfMemoryError);
      expect(() => random.uniform(shape)).toThrow(OutOfMemoryError);
    }
    expect(random.state.block).toBe(0);
  });

  it('refuse what cannot be drawn, at once', () => {
    const random = new RandomStream(1);
    for (const size of [2 ** 29 + 1, 2 ** 31, 2 ** 40]) {
      expect(() => random.permutation(size)).toThrow(OutOfMemoryError);
      expect(() => random.normalArray(size)).toThrow(OutOfMemoryError);
      expect(() => random.uniform([size])).toThrow(OutOfMemoryError);
    }
    for (const size of bad as number[]) {
      if (size === 2 ** 53) continue;
      expect(() => random.permutation(size)).toThrow(ValueError);
      expect(() => random.normal([size])).toThrow(ShapeError);
    }
    for (const deviation of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      expect(() => random.normal([2], deviation)).toThrow(/deviation is .*at least 0/);
    }
    for (const draw of [() => random.normal([2], 1e38), () => random.normalArray(2, 1e308)]) {
      expect(draw).toThrow(/finite in float/);
    }
    expect(random.state).toEqual({ seed: 1, block: 0 });
    expect(random.normal([1000], 5e37).dataSync().every(Number.isFinite)).toBe(true);
  });
});
