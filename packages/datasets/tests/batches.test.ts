import { ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { type BatchOptions, type BatchPlace, indexBatches, takeRows } from '../src/index.ts';

const all = (options: BatchOptions) =>
  [...indexBatches(options)].map((b) => ({ ...b, indices: [...b.indices] }));
const sorted = (values: number[]) => [...values].sort((a, b) => a - b);

describe('indexBatches', () => {
  const options = { count: 10, batchSize: 4, seed: 3, epochs: 3 };

  it('shows each sample once in an epoch, in another order in the next', () => {
    const batches = all({ ...options, dropLast: false });
    expect(batches.map((b) => b.indices.length)).toEqual([4, 4, 2, 4, 4, 2, 4, 4, 2]);
    const epochs = [0, 1, 2].map((e) =>
      batches.filter((b) => b.epoch === e).flatMap((b) => b.indices),
    );
    for (const epoch of epochs) expect(sorted(epoch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(epochs[1]).not.toEqual(epochs[2]);
  });

  it('drops what does not fill a batch', () => {
    expect(all(options).map((b) => b.indices.length)).toEqual([4, 4, 4, 4, 4, 4]);
  });

  it('follows from the seed', () => {
    expect(all(options)).toEqual(all(options));
    expect(all(options)).not.toEqual(all({ ...options, seed: 4 }));
    expect(all({ ...options, shuffle: false, epochs: 1 })[0]?.indices).toEqual([0, 1, 2, 3]);
  });

  it.each([true, false])(
    'goes on from any place as if never stopped (dropLast: %s)',
    (dropLast) => {
      const whole = all({ ...options, dropLast });
      whole.forEach((batch, i) => {
        expect(all({ ...options, dropLast, start: batch.next })).toEqual(whole.slice(i + 1));
      });
    },
  );

  it('never ends by itself without epochs', () => {
    const endless = indexBatches({ count: 2, batchSize: 2, seed: 0 });
    for (let i = 0; i < 100; i++) expect(endless.next().value?.epoch).toBe(i);
  });

  it.each<[Partial<BatchOptions>, RegExp]>([
    [{ count: 0 }, /count is 0; expected a whole number from 1/],
    [{ batchSize: 2.5 }, /batchSize is 2.5/],
    [{ seed: -1 }, /seed is -1/],
    [{ epochs: Number.NaN }, /epochs is NaN/],
    [{ batchSize: 11 }, /batchSize 11 exceeds the count of 10/],
    [{ count: 2 ** 31 }, /count is 2147483648/],
    [{ shuffle: 1 as unknown as boolean }, /shuffle is 1; expected true or false/],
    [{ size: 4 } as Partial<BatchOptions>, /no option 'size'/],
    [{ start: 3 as unknown as BatchPlace }, /start is 3; expected { epoch, position }/],
    [{ start: { epoch: 0, position: 11 } }, /start.position 11 is behind the 10 samples/],
  ])('refuses %o at once', (bad, message) => {
    expect(() => indexBatches({ ...options, ...bad })).toThrow(ValueError);
    expect(() => indexBatches({ ...options, ...bad })).toThrow(message);
  });
});

describe('takeRows', () => {
  const bytes = Uint8Array.of(0, 1, 10, 11, 20, 21);

  it('gathers rows in order, repeats included', () => {
    expect(takeRows(bytes, [2, 0, 2], 2)).toEqual(Uint8Array.of(20, 21, 0, 1, 20, 21));
  });

  it('refuses a row that is not there', () => {
    expect(() => takeRows(bytes, [3], 2)).toThrow(/row 3 of 3 rows of 2 bytes/);
    for (const index of [-1, 0.5, Number.NaN, '1' as unknown as number]) {
      expect(() => takeRows(bytes, [index], 2)).toThrow(/of 3 rows/);
    }
    expect(() => takeRows(bytes, 3 as never, 2)).toThrow(ValueError);
    for (const size of [0, -2, 1.5, Number.NaN]) {
      expect(() => takeRows(bytes, [0], size)).toThrow(/rowSize is/);
    }
  });

  it('refuses a size that leaves a part of a row, as of another data set', () => {
    expect(() => takeRows(bytes, [0], 4)).toThrow(/6 bytes are no whole number of rows of 4/);
  });

  it('takes bytes only', () => {
    expect(takeRows(Uint8ClampedArray.from(bytes), [1], 2)).toEqual(Uint8Array.of(10, 11));
    for (const wrong of [Uint16Array.of(0, 4095), Float32Array.of(0.5, 1), [1, 2], null]) {
      expect(() => takeRows(wrong as never, [0], 1)).toThrow(/expected a Uint8Array/);
    }
  });
});
