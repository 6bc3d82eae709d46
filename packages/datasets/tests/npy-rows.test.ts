import files, {
  type FileHandle,
  mkdtemp,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvNetError, ShapeError } from '@invnet/tensor';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  NpyFormatError,
  type NpyType,
  type NumericData,
  npyHeader,
  npyRows,
  parseNpy,
  writeNpy,
} from '../src/npy.ts';
import type { RowBatchOptions, RowSource } from '../src/rows.ts';
import { CountingBlob } from './counting-blob.ts';

const recorded = (name: string) => join(import.meta.dirname, 'files', name);

/** A file of [count, 2] whose row i holds i twice. */
const numbered = (count: number) =>
  writeNpy({
    shape: [count, 2],
    data: Float32Array.from({ length: 2 * count }, (_, i) => i >> 1),
  });

const rowsOf = async (source: RowSource, options: RowBatchOptions) => {
  const batches: number[][] = [];
  for await (const { x, context } of source.batches(options)) {
    if (context) expect(context.data).toEqual(x.data);
    batches.push(Array.from(x.data).filter((_, i) => i % 2 === 0));
  }
  return batches;
};

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('npyRows', () => {
  it('shows each row once in an epoch, in an order of seed and epoch, and goes on anywhere', async () => {
    const size = fc.integer({ min: 1, max: 30 });
    const property = fc.asyncProperty(
      fc.record({ count: size, batchSize: size, blockRows: size, windowBlocks: size, seed: size }),
      async ({ count, batchSize, blockRows, windowBlocks, seed }) => {
        const x = new Blob([numbered(count)]);
        const source = await npyRows({ x, context: x, blockRows, windowBlocks });
        expect([source.count, source.shapes]).toEqual([count, { x: [2], context: [2] }]);
        const options = { batchSize, seed, epoch: 2 };
        const whole = await rowsOf(source, options);
        expect(whole.flat().sort((a, b) => a - b)).toEqual(upTo(count));
        expect(whole.slice(0, -1).every((batch) => batch.length === batchSize)).toBe(true);
        const from = seed % (whole.length + 1);
        expect(await rowsOf(source, { ...options, from })).toEqual(whole.slice(from));
        const stored = await rowsOf(source, { ...options, shuffle: false });
        expect(stored.flat()).toEqual(upTo(count));
      },
    );
    await fc.assert(property, { numRuns: 40 });
    const source = await npyRows({ x: new Blob([numbered(60)]), blockRows: 5, windowBlocks: 3 });
    const orders = [1, 2].flatMap((seed) =>
      [0, 1].map((epoch) => ({ batchSize: 60, seed, epoch })),
    );
    const epochs = await Promise.all(orders.map((options) => rowsOf(source, options)));
    expect(new Set(epochs.map(String)).size).toBe(4);
  });

  it('mixes rows within windows, and windows over the file', async () => {
    const source = await npyRows({
      x: new Blob([numbered(1000)]),
      blockRows: 10,
      windowBlocks: 10,
    });
    const windows = await rowsOf(source, { batchSize: 100, seed: 3, epoch: 0 });
    for (const window of windows) {
      const blocks = new Set(window.map((row) => Math.floor(row / 10)));
      expect(blocks.size).toBe(10);
      expect(Math.max(...blocks) - Math.min(...blocks)).toBeGreaterThan(30);
      expect(window.filter((row, i) => row === window[i - 1]! + 1).length).toBeLessThan(10);
    }
    // Each in an order of its own.
    const orders = windows.map((window) => window.map((row) => row % 10).join());
    expect(new Set(orders).size).toBe(windows.length);
  });

  it('closes files when an epoch ends, or is left', async () => {
    const handles: FileHandle[] = [];
    const open = files.open;
    const spy = vi.spyOn(files, 'open').mockImplementation(async (...args) => {
      handles.push(await open(...args));
      return handles.at(-1)!;
    });
    try {
      const x = recorded('rows.npy');
      const source = await npyRows({ x, context: x });
      const options = { batchSize: 2, seed: 1, epoch: 0 };
      await rowsOf(source, options);
      for await (const _ of source.batches(options)) break;
      await expect(npyRows({ x, context: recorded('none.npy') })).rejects.toThrow(InvNetError);
    } finally {
      spy.mockRestore();
    }
    expect(handles.length).toBeGreaterThan(6);
    expect(handles.map(({ fd }) => fd)).toEqual(handles.map(() => -1));
  });

  it('holds a window at a time, reads each byte once, and leaves out windows that were used', async () => {
    const [count, blockRows, windowBlocks, rowBytes] = [10_000, 50, 4, 8];
    const x = new CountingBlob([numbered(count)]);
    const source = await npyRows({ x, blockRows, windowBlocks });
    const [opened, window] = [x.read, blockRows * windowBlocks * rowBytes];
    x.sizes.length = 0;
    let given = 0;
    for await (const batch of source.batches({ batchSize: 30, seed: 1, epoch: 0 })) {
      given += 4 * batch.x.data.length;
      expect(x.read - opened - given).toBeLessThan(window + 30 * rowBytes);
    }
    expect(x.read - opened).toBe(count * rowBytes);
    expect(Math.max(...x.sizes)).toBe(blockRows * rowBytes);
    const before = x.read;
    await rowsOf(source, { batchSize: 30, seed: 1, epoch: 0, from: 330 });
    expect(x.read - before).toBe(window);
  });

  it('reads a range of the rows, as for training and for validation', async () => {
    const x = new CountingBlob([numbered(100)]);
    const ranges: [number, number][] = [
      [0, 83],
      [83, 100],
    ];
    const parts = await Promise.all(
      ranges.map(async (range) => {
        const source = await npyRows({ x, range, blockRows: 10, windowBlocks: 3 });
        expect(source.count).toBe(range[1] - range[0]);
        const stored = await rowsOf(source, { batchSize: 7, seed: 1, epoch: 0, shuffle: false });
        const whole = await rowsOf(source, { batchSize: 7, seed: 1, epoch: 0 });
        expect(whole.flat().sort((a, b) => a - b)).toEqual(stored.flat());
        expect(await rowsOf(source, { batchSize: 7, seed: 1, epoch: 0, from: 2 })).toEqual(
          whole.slice(2),
        );
        return stored.flat();
      }),
    );
    expect(parts.flat()).toEqual(upTo(100));
    for (const range of [[0, 101], [5, 5], [-1, 4], [3], 7]) {
      await expect(npyRows({ x, range: range as never })).rejects.toThrow(/range/);
    }
  });

  it('reads files of NumPy in another order, byte order and type as they are', async () => {
    for (const name of ['fortran-big-endian.npy', 'rows.npy']) {
      const source = await npyRows({ x: recorded(name), blockRows: 2 });
      expect([source.count, source.shapes.x]).toEqual([7, [2, 3]]);
      const read: number[] = [];
      const options = { batchSize: 3, seed: 1, epoch: 0, shuffle: false };
      for await (const { x } of source.batches(options)) {
        expect(x.data).toBeInstanceOf(name === 'rows.npy' ? Float64Array : Float32Array);
        read.push(...x.data);
      }
      expect(read).toEqual(upTo(42).map((i) => (name === 'rows.npy' ? i : i / 2)));
    }
  });

  it('names rows and columns that hold no number, and masks them in contexts when asked', async () => {
    const holes = writeNpy({ shape: [3, 2], data: Float64Array.of(0, 1, 2, 3, 4, Number.NaN) });
    const x = new Blob([numbered(3)]);
    const options = { batchSize: 3, seed: 1, epoch: 0, shuffle: false };
    const refusing = await npyRows({ x, context: new Blob([holes]), blockRows: 2 });
    await expect(rowsOf(refusing, options)).rejects.toThrow(
      /npyRows: context is NaN in row 2, column 1/,
    );
    const masking = await npyRows({ x, context: new Blob([holes]), missing: 'mask' });
    expect(masking.shapes.context).toEqual([4]);
    for await (const { context } of masking.batches(options)) {
      expect(Array.from(context!.data)).toEqual([0, 1, 1, 1, 2, 3, 1, 1, 4, 0, 1, 0]);
    }
    const endless = writeNpy({ shape: [3, 2], data: Float64Array.of(0, 1, 2, 3, 4, 1 / 0) });
    const failing = await npyRows({
      x,
      context: new Blob([endless]),
      missing: 'mask',
      blockRows: 1,
    });
    await expect(rowsOf(failing, options)).rejects.toThrow(
      /npyRows: context is Infinity in row 2, column 1/,
    );
    const keeping = await npyRows({ x: new Blob([holes]), missing: 'keep' });
    for await (const { x } of keeping.batches(options)) {
      expect(Array.from(x.data)).toEqual([0, 1, 2, 3, 4, Number.NaN]);
    }
    const large = writeNpy({ shape: [1], data: BigInt64Array.of(2n ** 53n + 1n) });
    await expect(npyRows({ x: new Blob([large]) })).rejects.toThrow(/NaN in row 0, column 0/);
  });

  it('refuses what is cut short, foreign, empty, of other counts or gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'invnet-rows-'));
    try {
      const path = join(folder, 'x.npy');
      await writeFile(path, numbered(100));
      const source = await npyRows({ x: path, blockRows: 20 });
      await truncate(path, 500);
      const options = { batchSize: 10, seed: 1, epoch: 0 };
      await expect(rowsOf(source, options)).rejects.toThrow(/x\.npy ends before byte/);
      await expect(npyRows({ x: path })).rejects.toThrow(NpyFormatError);
      await expect(npyRows({ x: path })).rejects.toThrow(/x\.npy is truncated.*928 bytes.*has 500/);
      await expect(npyRows({ x: folder })).rejects.toThrow(/expected a file there/);
      await expect(npyRows({ x: join(folder, 'y.npy') })).rejects.toThrow(InvNetError);
    } finally {
      await rm(folder, { recursive: true });
    }
    const x = new Blob([numbered(4)]);
    await expect(npyRows({ x, context: new Blob([numbered(5)]) })).rejects.toThrow(
      /context has shape \[5, 2\], x has \[4, 2\]/,
    );
    await expect(npyRows({ x, context: new Blob([numbered(5)]) })).rejects.toThrow(ShapeError);
    const empty = new Blob([writeNpy({ shape: [0, 2], data: new Float32Array(0) })]);
    await expect(npyRows({ x: empty })).rejects.toThrow(/shape \[0, 2\]; expected rows/);
    const png = new Blob([Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)]);
    await expect(npyRows({ x: png })).rejects.toThrow(/the file is not an NPY file/);
    await expect(npyRows({ x, blockRows: 0 })).rejects.toThrow(/blockRows is 0/);
    await expect(npyRows({ x: 3 as never })).rejects.toThrow(/x is 3; expected a path, or a Blob/);
    await expect(npyRows({ x, window: 3 } as never)).rejects.toThrow(/no option 'window'/);
  });
});

describe('writeNpy', () => {
  const types: [NpyType, NumericData][] = [
    ['uint8', Uint8Array.of(0, 255)],
    ['int8', Int8Array.of(-1, 1)],
    ['uint16', Uint16Array.of(1, 65535)],
    ['int16', Int16Array.of(-2, 2)],
    ['uint32', Uint32Array.of(1, 2 ** 32 - 1)],
    ['int32', Int32Array.of(-1, 5)],
    ['uint64', BigUint64Array.of(1n, 2n ** 64n - 1n)],
    ['int64', BigInt64Array.of(-1n, 2n ** 60n)],
    ['float32', Float32Array.of(0.5, Number.NaN)],
    ['float64', Float64Array.of(1e300, -0)],
  ];

  it.each(types)('writes %s, as it is read', (type, data) => {
    for (const shape of [[2], [1, 2], [2, 1, 1]]) {
      const file = writeNpy({ shape, data });
      expect(parseNpy(file)).toEqual({ shape, data });
      const header = npyHeader(shape, type);
      expect(header.length % 64).toBe(0);
      expect(file.subarray(0, header.length)).toEqual(header);
    }
  });

  it('writes what NumPy wrote, byte for byte', async () => {
    const file = new Uint8Array(await readFile(recorded('rows.npy')));
    expect(writeNpy(parseNpy(file))).toEqual(file);
  });

  it('refuses sizes that the numbers do not fill, and what is no array of numbers', () => {
    const data = new Float32Array(3);
    expect(() => writeNpy({ shape: [2], data })).toThrow(ShapeError);
    expect(() => writeNpy({ shape: [1.5, 2], data })).toThrow(/shape is \[1\.5, 2\]/);
    expect(() => writeNpy({ shape: [3], data: [1, 2, 3] as never })).toThrow(/expected a typed/);
    expect(() => npyHeader([3], 'half' as never)).toThrow(
      /type is 'half'; expected one of 'uint8'/,
    );
  });
});
