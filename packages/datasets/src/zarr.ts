/**
 * Rows of Zarr arrays, versions 2 and 3, read chunk by chunk by `zarrita`, which who wants this entry installs.
 *
 * Left out: groups, text, truth values, and writing.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireOptions,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import * as zarrita from 'zarrita';
import { blockRows, type RowFileOptions, rowFileOptions } from './block-rows.ts';
import { type HostArray, likeArray } from './host-array.ts';
import { nodeModule } from './node.ts';
import { toFloats } from './numeric-data.ts';
import type { RowSource } from './rows.ts';

/** A folder is no Zarr array of numbers, or a part of it is damaged. */
export class ZarrFormatError extends InvNetError {
  override name = 'ZarrFormatError';
}

/** An array that `open` of `zarrita` gave, of whatever store. */
export interface ZarrArray {
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  readonly dtype: string;
}

/** Arrays beside each other, with as many rows each, and how they are read. */
export interface ZarrRowsOptions extends RowFileOptions {
  /** [N, …]: the path of an array's folder in Node.js, or an array that `zarrita` opened, as from a server. */
  readonly x: string | ZarrArray;
  /** [N, …] */
  readonly context?: string | ZarrArray;
  /** [N] */
  readonly weights?: string | ZarrArray;
}

/**
 * A source of the rows of Zarr arrays, which may be larger than memory. Chunks are read in random order, as blocks of
 * `npyRows` of `@invnet/datasets/npy` are: `blockRows` is a multiple of the rows in a chunk of x. A chunk that was never
 * written holds the array's fill value. Integers become floats that are equal to them.
 *
 * @throws ZarrFormatError for what is no array of numbers, and for damaged chunks when they are read. @throws ShapeError
 * for other numbers of rows. @throws ValueError for wrong arguments.
 * @example
 * const source = await zarrRows({ x: 'simulations.zarr/theta', context: 'simulations.zarr/x' });
 * @example
 * const store = new FetchStore('https://example.org/simulations.zarr/x'); // of zarrita
 * const source = await zarrRows({ x: await open(store, { kind: 'array' }) });
 */
export async function zarrRows(options: ZarrRowsOptions): Promise<RowSource> {
  const op = 'zarrRows';
  requireOptions(op, options, [...names, ...rowFileOptions]);
  const arrays: { name: Name; array: Numbers }[] = [];
  for (const name of names) {
    const given = options[name];
    if (given === undefined && name !== 'x') continue;
    arrays.push({ name, array: await opened(op, name, given) });
  }
  const [first, ...others] = arrays.map(({ name, array }) => ({ name, array }));
  const { shape, chunks } = first!.array;
  for (const { name, array } of others) {
    if (array.shape[0] === shape[0]) continue;
    throw new ShapeError(
      `${op}: ${name} has shape ${formatShape(array.shape)}, x has ${formatShape(shape)}; expected as many rows.`,
    );
  }
  // A number has 8 bytes at most, and a file's type says little of what it takes here.
  const numbers = arrays.map(({ array }) => array.shape.slice(1).reduce((a, b) => a * b, 1));
  const rowBytes = 8 * numbers.reduce((a, b) => a + b, 0);
  const open = async () => ({
    async read(start: number, end: number) {
      const read: Partial<Record<Name, HostArray>> = {};
      for (const { name, array } of arrays) read[name] = await rowsOf(op, name, array, start, end);
      return { ...read, x: read.x! };
    },
    close: async () => {},
  });
  return blockRows(op, { count: shape[0]!, rowBytes, blockRows: chunks[0]!, open }, options);
}

type Name = 'x' | 'context' | 'weights';
const names: readonly Name[] = ['x', 'context', 'weights'];

type Numbers = zarrita.Array<zarrita.NumberDataType | zarrita.BigintDataType>;

async function opened(op: string, name: Name, given: ZarrRowsOptions[Name]): Promise<Numbers> {
  const array = typeof given === 'string' ? await openFolder(op, given) : given;
  if (!(array instanceof zarrita.Array)) {
    throw new ValueError(
      `${op}: ${name} is ${formatValue(given)}; expected a path, or an array that zarrita opened.`,
    );
  }
  if (
    !(array.is('number') || array.is('bigint')) ||
    array.shape.length === 0 ||
    array.shape.includes(0)
  ) {
    throw new ZarrFormatError(
      `${op}: ${typeof given === 'string' ? given : name} holds ${array.dtype} of shape ` +
        `${formatShape(array.shape)}; expected rows of integers or floats.`,
    );
  }
  return array;
}

/** An array in a folder, by a store that reads files. */
async function openFolder(op: string, folder: string) {
  const { open, readFile } = nodeModule('node:fs/promises', op);
  const { join } = nodeModule('node:path', op);
  // To Zarr, what is not there is no error but a chunk that was never written.
  const absent = (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  };
  const store: zarrita.AsyncReadable = {
    get: (key) => readFile(join(folder, key)).catch(absent),
    async getRange(key, range) {
      const handle = await open(join(folder, key)).catch(absent);
      try {
        if (!handle) return undefined;
        const { size } = await handle.stat();
        const length = 'suffixLength' in range ? range.suffixLength : range.length;
        const position = 'suffixLength' in range ? Math.max(0, size - length) : range.offset;
        const { buffer, bytesRead } = await handle.read({
          buffer: new Uint8Array(length),
          position,
        });
        return buffer.subarray(0, bytesRead);
      } finally {
        await handle?.close();
      }
    },
  };
  try {
    return await zarrita.open(store, { kind: 'array' });
  } catch (cause) {
    throw new ZarrFormatError(
      `${op}: ${folder} is no Zarr array; expected a folder with zarr.json or .zarray in it.`,
      { cause },
    );
  }
}

async function rowsOf(
  op: string,
  name: Name,
  array: Numbers,
  start: number,
  end: number,
): Promise<HostArray> {
  const all = array.shape.slice(1).map(() => null);
  const part = await zarrita
    .get(array, [zarrita.slice(start, end), ...all])
    .catch((cause: unknown) => {
      throw new ZarrFormatError(
        `${op}: rows ${start} to ${end - 1} of ${name} cannot be read; expected chunks that are whole.`,
        { cause },
      );
    });
  const { shape, stride, data } = part;
  return { shape, data: rowMajor(toFloats(data), shape, stride) };
}

/** Numbers that lie in another order in the chunk, as in Fortran's. */
function rowMajor(data: HostArray['data'], shape: readonly number[], stride: readonly number[]) {
  const own = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  if (own.every((step, axis) => step === stride[axis])) return data;
  const rows = likeArray(data, data.length);
  for (let to = 0; to < rows.length; to++) {
    const from = own.reduce((sum, step, axis) => {
      return sum + (Math.floor(to / step) % shape[axis]!) * stride[axis]!;
    }, 0);
    rows[to] = data[from]!;
  }
  return rows;
}
