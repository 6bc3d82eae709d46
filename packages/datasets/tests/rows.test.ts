import { ShapeError, ValueError } from '@invnet/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arrayRows,
  maskMissing,
  type RowBatchOptions,
  type RowSource,
  type Rows,
  selectRows,
  splitRows,
  toHostArray,
} from '../src/index.ts';

/** Row i holds i in all its cells: as x, as context and as weight. */
const numbered = (count: number): Rows => ({
  x: { shape: [count, 2], data: Float64Array.from({ length: 2 * count }, (_, i) => i >> 1) },
  context: { shape: [count, 1, 1], data: Float32Array.from({ length: count }, (_, i) => i) },
  weights: { shape: [count], data: Float32Array.from({ length: count }, (_, i) => i) },
});

const epochOf = async (source: RowSource, options: RowBatchOptions) => {
  const batches: number[][] = [];
  for await (const { x, context, weights } of source.batches(options)) {
    const rows = Array.from(x.data).filter((_, i) => i % 2 === 0);
    expect(x.data).toBeInstanceOf(Float64Array);
    expect(context?.data).toBeInstanceOf(Float32Array);
    expect([x.shape, context?.shape]).toEqual([
      [rows.length, 2],
      [rows.length, 1, 1],
    ]);
    for (const array of [context, weights]) expect(Array.from(array?.data ?? [])).toEqual(rows);
    batches.push(rows);
  }
  return batches;
};

const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('arrayRows', () => {
  it('shows each row once in an epoch, in an order of seed and epoch, and goes on anywhere', async () => {
    const sizes = [fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 50 })] as const;
    const property = fc.asyncProperty(...sizes, fc.nat(100), async (count, batchSize, seed) => {
      const source = arrayRows(numbered(count));
      expect([source.count, source.shapes]).toEqual([count, { x: [2], context: [1, 1] }]);
      const options = { batchSize, seed, epoch: 3 };
      const whole = await epochOf(source, options);
      expect(sorted(whole.flat())).toEqual(upTo(count));
      expect(whole.slice(0, -1).every((batch) => batch.length === batchSize)).toBe(true);
      for (let from = 0; from <= whole.length; from++) {
        expect(await epochOf(source, { ...options, from })).toEqual(whole.slice(from));
      }
      const stored = await epochOf(source, { ...options, shuffle: false });
      expect(stored.flat()).toEqual(upTo(count));
    });
    await fc.assert(property, { numRuns: 30 });
    const orders = [1, 2].flatMap((seed) =>
      [0, 1].map((epoch) => ({ batchSize: 40, seed, epoch })),
    );
    const epochs = orders.map((options) => epochOf(arrayRows(numbered(40)), options));
    expect(new Set((await Promise.all(epochs)).map(String)).size).toBe(4);
  });

  it.each<[string, Rows, typeof ValueError, RegExp]>([
    [
      'a NaN',
      { x: { shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, Number.NaN, 5) } },
      ValueError,
      /x is NaN in row 1, column 1 .*maskMissing/,
    ],
    [
      'an infinite context',
      { ...numbered(2), context: { shape: [2], data: Float32Array.of(0, -Infinity) } },
      ValueError,
      /context is -Infinity in row 1, column 0/,
    ],
    [
      'other numbers of rows',
      { ...numbered(3), weights: { shape: [2], data: new Float32Array(2) } },
      ShapeError,
      /weights has 2 rows, x has 3/,
    ],
    [
      'a negative weight',
      { ...numbered(2), weights: { shape: [2], data: Float32Array.of(0, -1) } },
      ValueError,
      /weight of row 1 is -1/,
    ],
    [
      'weights of another rank',
      { ...numbered(1), weights: { shape: [1, 1], data: Float32Array.of(0) } },
      ShapeError,
      /weights are \[1, 1\]; expected \[N\]/,
    ],
    [
      'a shape that the numbers do not fill',
      { x: { shape: [2, 2], data: new Float32Array(3) } },
      ShapeError,
      /shape \[2, 2\] and 3 numbers/,
    ],
    [
      'integers',
      { x: { shape: [2], data: new Int32Array(2) as never } },
      ValueError,
      /data of x are an Int32Array; expected a Float32Array/,
    ],
    ['misspelt names', { y: 1, ...numbered(1) } as Rows, ValueError, /no option 'y'/],
  ])('refuses %s', (_, rows, type, message) => {
    expect(() => arrayRows(rows)).toThrow(type);
    expect(() => arrayRows(rows)).toThrow(message);
  });

  it.each<[Partial<RowBatchOptions>, RegExp]>([
    [{ batchSize: 0 }, /batchSize is 0/],
    [{ seed: -1 }, /seed is -1/],
    [{ epoch: 0.5 }, /epoch is 0.5/],
    [{ from: 4 }, /from is 4; expected a whole number from 0 to 3/],
    [{ shuffle: 1 as never }, /shuffle is 1/],
    [{ size: 1 } as never, /no option 'size'/],
  ])('refuses batches of %o at once', (bad, message) => {
    const options = { batchSize: 4, seed: 1, epoch: 0, ...bad };
    expect(() => arrayRows(numbered(10)).batches(options)).toThrow(message);
  });
});

describe('rows', () => {
  it('are split at random, each on one side', () => {
    const split = (seed: number) => {
      const { training, validation } = splitRows(numbered(20), { validation: 0.25, seed });
      expect([training.x.shape, validation.x.shape]).toEqual([
        [15, 2],
        [5, 2],
      ]);
      for (const { x, context, weights } of [training, validation]) {
        expect(context!.data).toEqual(weights!.data);
        expect(Array.from(x.data).filter((_, i) => i % 2)).toEqual(Array.from(weights!.data));
      }
      const rows = [...validation.weights!.data, ...training.weights!.data];
      expect(sorted(rows)).toEqual(upTo(20));
      return rows;
    };
    expect(split(1)).toEqual(split(1));
    expect(split(1)).not.toEqual(split(2));
    const few = splitRows(numbered(2), { validation: 0.01, seed: 1 });
    expect([few.training, few.validation].map(({ x }) => x.shape[0])).toEqual([1, 1]);
    expect(() => splitRows(numbered(1), { validation: 0.1, seed: 1 })).toThrow(/there is 1 row/);
    for (const validation of [0, 1, Number.NaN]) {
      expect(() => splitRows(numbered(4), { validation, seed: 1 })).toThrow(/validation is/);
    }
  });

  it('are selected, repeats included', () => {
    expect(selectRows(numbered(4), [3, 0, 3]).weights!.data).toEqual(Float32Array.of(3, 0, 3));
    expect(() => selectRows(numbered(4), [4])).toThrow(/an index is 4; .*from 0 to 3/);
    expect(() => selectRows(numbered(4), [])).toThrow(/expected some rows/);
  });

  it.each([1, 3, 64, 65, 300])('are copied whole, with %i numbers each', (size) => {
    const data = Float32Array.from({ length: 5 * size }, (_, i) => i);
    const rows = selectRows({ x: { shape: [5, size], data } }, [4, 1]);
    expect(rows.x).toEqual({
      shape: [2, size],
      data: Float32Array.of(...data.subarray(4 * size), ...data.subarray(size, 2 * size)),
    });
  });

  it('are made of numbers of any type, exactly', () => {
    const shape = [2, 1];
    const floats = (data: Parameters<typeof toHostArray>[0]['data']) =>
      toHostArray({ shape, data }).data;
    expect(floats(Int16Array.of(-3, 7))).toEqual(Float32Array.of(-3, 7));
    expect(floats(Int32Array.of(2 ** 30 + 1, 7))).toEqual(Float64Array.of(2 ** 30 + 1, 7));
    expect(floats(BigInt64Array.of(-5n, 2n ** 53n + 1n))).toEqual(Float64Array.of(-5, Number.NaN));
    const kept = Float32Array.of(0.1, 2);
    expect(floats(kept)).toBe(kept);
    expect(() => toHostArray({ shape: [3, 1], data: kept })).toThrow(ShapeError);
  });

  it('say what is missing in columns of their own', () => {
    const data = Float64Array.of(5, Number.NaN, -1, 2);
    const expected = Float64Array.of(5, 0, 1, 0, -1, 2, 1, 1);
    expect(maskMissing({ shape: [2, 2], data })).toEqual({ shape: [2, 4], data: expected });
    expect(maskMissing({ shape: [1, 2, 2], data })).toEqual({
      shape: [1, 4, 2],
      data: Float64Array.of(5, 0, -1, 2, 1, 0, 1, 1),
    });
    expect(() => maskMissing({ shape: [4], data })).toThrow(ShapeError);
    expect(() => maskMissing({ shape: [1, 1], data: Float32Array.of(Infinity) })).toThrow(
      /Infinity in row 0, column 0/,
    );
  });
});
