import { cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShapeError, ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { create, root } from 'zarrita';
import type { RowSource } from '../src/rows.ts';
import { ZarrFormatError, zarrRows } from '../src/zarr.ts';

const recorded = (name: string) => join(import.meta.dirname, 'files', name);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

const read = async (source: RowSource, options = {}) => {
  const numbers: number[] = [];
  const epoch = { batchSize: 2, seed: 1, epoch: 0, shuffle: false, ...options };
  for await (const { x } of source.batches(epoch)) numbers.push(...x.data);
  return numbers;
};

describe('zarrRows', () => {
  it.each(['v2.zarr', 'v3.zarr'])('reads what Python wrote: %s', async (name) => {
    const source = await zarrRows({ x: recorded(name), context: recorded('v2.zarr') });
    expect([source.count, source.shapes]).toEqual([7, { x: [2, 3], context: [2, 3] }]);
    expect(await read(source)).toEqual(upTo(42));
    const small = await zarrRows({ x: recorded(name), blockRows: 3, windowBlocks: 1 });
    const shuffled = await read(small, { shuffle: true });
    expect(shuffled).not.toEqual(upTo(42));
    expect(shuffled.sort((a, b) => a - b)).toEqual(upTo(42));
  });

  it("reads integers in Fortran's order, and fills in what was never written", async () => {
    const source = await zarrRows({ x: recorded('fortran.zarr') });
    expect(await read(source)).toEqual([...upTo(36), ...new Array(6).fill(7)]);
  });

  it('reads chunks once in an epoch, those of the blocks that are held', async () => {
    const files = new Map<string, Uint8Array>();
    let chunks = 0;
    const store = {
      get: (key: string) => {
        if (key.includes('/c/')) chunks++;
        return files.get(key);
      },
      set: (key: string, value: Uint8Array) => void files.set(key, value),
    };
    const layout = { shape: [1000, 2], chunkShape: [50, 2], dtype: 'float32', fillValue: 1 };
    const x = await create(root(store), { ...layout, dtype: 'float32' });
    const source = await zarrRows({ x, blockRows: 100, windowBlocks: 2 });
    chunks = 0;
    let given = 0;
    for await (const batch of source.batches({ batchSize: 20, seed: 1, epoch: 0 })) {
      given += batch.x.shape[0]!;
      expect(50 * chunks - given).toBeLessThanOrEqual(200);
    }
    expect([given, chunks]).toEqual([1000, 20]);
    await expect(zarrRows({ x, blockRows: 60 })).rejects.toThrow(/multiple of 50/);
  });

  it('refuses what is none, of other counts, or damaged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'invnet-zarr-'));
    try {
      await expect(zarrRows({ x: folder })).rejects.toThrow(ZarrFormatError);
      await expect(zarrRows({ x: folder })).rejects.toThrow(
        /no Zarr array; expected a folder with/,
      );
      const damaged = join(folder, 'x.zarr');
      await cp(recorded('v3.zarr'), damaged, { recursive: true });
      await truncate(join(damaged, 'c/2/0/0'), 9);
      const source = await zarrRows({ x: damaged, blockRows: 3 });
      await expect(read(source)).rejects.toThrow(ZarrFormatError);
      await expect(read(source)).rejects.toThrow(/rows 6 to 6 of x cannot be read/);
      const holes = await create(root(), {
        shape: [7],
        chunkShape: [7],
        dtype: 'float64',
        fillValue: Number.NaN,
      });
      await expect(zarrRows({ x: recorded('v2.zarr'), weights: holes })).rejects.toThrow(
        /zarrRows: weights is NaN in row 0/,
      );
      const text = { zarr_format: 2, shape: [2], chunks: [2], dtype: '<U3', order: 'C' };
      await writeFile(
        join(folder, '.zarray'),
        JSON.stringify({ ...text, compressor: null, fill_value: '', filters: null }),
      );
      await expect(zarrRows({ x: folder })).rejects.toThrow(/holds v2:U3 of shape \[2\]; expected/);
    } finally {
      await rm(folder, { recursive: true });
    }
    const other = await create(root(), {
      shape: [6],
      chunkShape: [6],
      dtype: 'int8',
      fillValue: 0,
    });
    await expect(zarrRows({ x: recorded('v2.zarr'), context: other })).rejects.toThrow(ShapeError);
    await expect(zarrRows({ x: {} as never })).rejects.toThrow(ValueError);
  });
});
