/** Rows of NPY files that are larger than memory: the first axis is that of rows. */
import { formatShape, requireOptions, ShapeError } from '@invnet/tensor';
import { blockRows, type RowFileOptions, type RowReader, rowFileOptions } from './block-rows.ts';
import { type ByteFile, type FileLike, openFile, requireFile, withFile } from './byte-file.ts';
import type { HostArray } from './host-array.ts';
import {
  MOST_HEADER_BYTES,
  NpyFormatError,
  type NpyHeader,
  npyHeaderOf,
  npyNumbers,
} from './npy-format.ts';
import { toFloats } from './numeric-data.ts';
import type { RowSource } from './rows.ts';

/** Files beside each other, with as many rows each, and how they are read. */
export interface NpyRowsOptions extends RowFileOptions {
  /** [N, …]: the path of a file in Node.js, or a `File`. */
  readonly x: FileLike;
  /** [N, …] */
  readonly context?: FileLike;
  /** [N] */
  readonly weights?: FileLike;
}

/**
 * A source of the rows of NPY files, which may be larger than memory: blocks of neighbours are read in random order,
 * and mixed in windows of blocks, 16 of about 1 MiB unless told otherwise. Integers become floats that are equal to
 * them; byte order and Fortran's order are as in `parseNpy`. A file in Fortran's order is read in as many pieces a
 * block as it has columns.
 *
 * How random the order is: each block, and so each row, may come at any time of an epoch, but rows of one block
 * come within a window of each other. Shuffle a file that is sorted before, or give it wide windows; with a window
 * of all blocks the order is uniformly random, and all rows are held.
 *
 * Cells that are not finite are refused when they are read, with row and column.
 *
 * @throws NpyFormatError for files of another kind, truncated ones, or none with rows. @throws ShapeError for
 * other numbers of rows. @throws InvNetError for a file that cannot be read. @throws ValueError for wrong arguments.
 * @example
 * const source = await npyRows({ x: 'theta.npy', context: 'x.npy' });
 * for await (const { x, context } of source.batches({ batchSize: 256, seed: 1, epoch: 0 })) { … }
 */
export async function npyRows(options: NpyRowsOptions): Promise<RowSource> {
  const op = 'npyRows';
  requireOptions(op, options, [...names, ...rowFileOptions]);
  const arrays: { name: Name; file: FileLike; header: NpyHeader }[] = [];
  for (const name of names) {
    const file = options[name];
    if (file === undefined && name !== 'x') continue;
    requireFile(op, name, file!);
    const header = await withFile(op, file!, (open) => headerOf(op, open));
    arrays.push({ name, file: file!, header });
  }
  const [first, ...others] = arrays;
  const count = first!.header.shape[0]!;
  for (const { name, header } of others) {
    if (header.shape[0] === count) continue;
    throw new ShapeError(
      `${op}: ${name} has shape ${formatShape(header.shape)}, x has ${formatShape(first!.header.shape)}; ` +
        'expected as many rows.',
    );
  }
  const rowBytes = arrays.reduce((sum, { header }) => sum + cellsOf(header) * bytesOf(header), 0);
  const open = async (): Promise<RowReader> => {
    const opened: { name: Name; header: NpyHeader; file: ByteFile }[] = [];
    const close = async () => {
      await Promise.all(opened.map(({ file }) => file.close()));
    };
    try {
      for (const { file, ...array } of arrays) {
        opened.push({ ...array, file: await openFile(op, file) });
      }
    } catch (error) {
      await close();
      throw error;
    }
    return {
      async read(start, end) {
        const read: Partial<Record<Name, HostArray>> = {};
        for (const { name, header, file } of opened)
          read[name] = await rowsOf(file, header, start, end);
        return { ...read, x: read.x! };
      },
      close,
    };
  };
  return blockRows(op, { count, rowBytes, open }, options);
}

type Name = 'x' | 'context' | 'weights';
const names: readonly Name[] = ['x', 'context', 'weights'];

async function headerOf(op: string, file: ByteFile): Promise<NpyHeader> {
  const fail = (message: string): never => {
    throw new NpyFormatError(`${op}: ${file.name} ${message}`);
  };
  const start = await file.read(0, Math.min(file.size, MOST_HEADER_BYTES));
  const header = npyHeaderOf(start, file.size, fail);
  if (header.shape.length === 0 || header.shape.includes(0)) {
    fail(`has shape ${formatShape(header.shape)}; expected rows of numbers.`);
  }
  return header;
}

/** Numbers of a row, where complex ones count as one. */
function cellsOf({ shape }: NpyHeader): number {
  return shape.slice(1).reduce((a, b) => a * b, 1);
}

/** Of a number, where complex ones count as one. */
function bytesOf({ type }: NpyHeader): number {
  return type.bytes * type.parts;
}

async function rowsOf(
  file: ByteFile,
  header: NpyHeader,
  start: number,
  end: number,
): Promise<HostArray> {
  const { shape, columnMajor, type } = header;
  const raw =
    columnMajor && cellsOf(header) > 1
      ? await columnsOf(file, header, start, end)
      : await file.read(
          header.start + start * cellsOf(header) * bytesOf(header),
          header.start + end * cellsOf(header) * bytesOf(header),
        );
  const parts = type.parts === 1 ? [] : [type.parts];
  return {
    shape: [end - start, ...shape.slice(1), ...parts],
    data: toFloats(npyNumbers(raw, header)),
  };
}

/** Rows of a file in Fortran's order, where each column is in one piece. */
async function columnsOf(
  file: ByteFile,
  header: NpyHeader,
  start: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { shape } = header;
  const [cells, bytes] = [cellsOf(header), bytesOf(header)];
  const raw = new Uint8Array((end - start) * cells * bytes);
  for (let cell = 0; cell < cells; cell++) {
    // From the last index to the first: which column of the file this cell of a row is.
    let [column, rest, stride] = [0, cell, cells];
    for (const size of shape.slice(1).reverse()) {
      stride /= size;
      column += (rest % size) * stride;
      rest = Math.floor(rest / size);
    }
    const at = header.start + column * shape[0]! * bytes;
    const values = await file.read(at + start * bytes, at + end * bytes);
    for (let row = 0; row < end - start; row++) {
      const to = (row * cells + cell) * bytes;
      for (let byte = 0; byte < bytes; byte++) raw[to + byte] = values[row * bytes + byte]!;
    }
  }
  return raw;
}
