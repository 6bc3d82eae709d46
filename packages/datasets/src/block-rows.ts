/**
 * Rows of what is larger than memory, read in blocks of neighbours and shuffled in windows of blocks. What a format
 * knows is how to read rows `start` to `end`; order, batches and going on are here, once for all formats.
 */
import { RandomStream, requireList, requireOneOf, requireWhole, ValueError } from '@invnet/tensor';
import { copyRow, type HostArray, likeArray, masked } from './host-array.ts';
import {
  type RowBatchOptions,
  type RowSource,
  type Rows,
  requireBatchOptions,
  requireRows,
  shapesOf,
} from './rows.ts';

/** How rows of a file are read: what is held at a time, and what becomes of missing cells. */
export interface RowFileOptions {
  /** Rows that are read at once, neighbours in the file. Default: about 1 MiB of them. */
  readonly blockRows?: number;
  /**
   * Blocks that are held and mixed at a time. Default: 16. With more the order is closer to uniformly random, and
   * more memory is taken: `blockRows · windowBlocks` rows.
   */
  readonly windowBlocks?: number;
  /**
   * NaN cells are refused with row and column, `'refuse'`, the default; or those of contexts are marked as by
   * `maskMissing`, `'mask'`; or all come as they are, `'keep'`, for whoever leaves such rows out.
   */
  readonly missing?: 'refuse' | 'mask' | 'keep';
  /**
   * Rows from a first one up to another, both from 0: two sources of one file are for training and for validation. A
   * file that is sorted should be shuffled before. Default: all.
   */
  readonly range?: readonly [start: number, end: number];
}

/** The names of `RowFileOptions`. */
export const rowFileOptions = ['blockRows', 'windowBlocks', 'missing', 'range'];

/** An open file, or several beside each other. */
export interface RowReader {
  /** Rows `start` to `end`, all read anew. */
  read(start: number, end: number): Promise<Rows>;
  close(): Promise<void>;
}

/** What there is to read. */
export interface RowFile {
  readonly count: number;
  /** Of a row, in the file, where there is one. */
  readonly rowBytes: number;
  /** Where blocks must begin, as with chunks: multiples of this. Default: anywhere. */
  readonly blockRows?: number;
  open(): Promise<RowReader>;
}

/**
 * A source of the rows of a file. It is opened anew in each epoch, and closed when that ends or is left.
 *
 * The order of an epoch: blocks are put in random order; `windowBlocks` of them at a time are read, and their rows
 * mixed. So a row may come at any time of an epoch, but neighbours in the file come within a window of each other: a
 * file that is sorted by something should be shuffled before, or read with wide windows.
 *
 * @param op - Who asks, for messages.
 */
export async function blockRows(
  op: string,
  file: RowFile,
  options: RowFileOptions,
): Promise<RowSource> {
  const [first, end] = requireRange(op, file.count, options.range);
  const count = end - first;
  const together = file.blockRows ?? 1;
  const usual = together * Math.ceil(2 ** 20 / (file.rowBytes * together));
  const { blockRows = usual, windowBlocks = 16, missing = 'refuse' } = options;
  requireWhole(op, 'blockRows', blockRows, 1);
  requireWhole(op, 'windowBlocks', windowBlocks, 1);
  requireOneOf(op, 'missing', missing, ['refuse', 'mask', 'keep']);
  if (blockRows % together !== 0) {
    throw new ValueError(
      `${op}: blockRows is ${blockRows}; expected a multiple of ${together}, the rows that are stored together.`,
    );
  }
  const checked = async (reader: RowReader, start: number, end: number) => {
    const rows = await reader.read(start, end);
    const { context } = rows;
    const marked =
      context && missing === 'mask'
        ? { ...rows, context: masked(op, 'context', context, start) }
        : rows;
    return requireRows(op, marked, { first: start, finite: missing !== 'keep' });
  };
  // The first row tells shapes and types, and whether the file can be read at all.
  const row = await reading(file, (reader) => checked(reader, first, first + 1));
  return {
    count,
    shapes: shapesOf(row),
    batches(options) {
      const own = requireBatchOptions(op, count, options);
      const windows = windowsOf({ first, end, blockRows, windowBlocks }, own);
      return batches(file, windows, { ...own, count }, checked);
    },
  };
}

/** Some blocks, in the order in which their rows are used. */
interface Window {
  /** The blocks, from row to row. */
  readonly blocks: readonly { readonly start: number; readonly end: number }[];
  /** Rows in all of them. */
  readonly count: number;
  /** Which of them comes when: one is computed only for windows that are read. */
  order(): Uint32Array;
}

/** Rows of a file, and how they are parted. */
interface Layout {
  readonly first: number;
  readonly end: number;
  readonly blockRows: number;
  readonly windowBlocks: number;
}

function* windowsOf(
  { first, end, blockRows, windowBlocks }: Layout,
  { seed, epoch, shuffle }: Required<RowBatchOptions>,
): Generator<Window> {
  // Of the file, so that a range that starts within a block cuts only that one.
  const from = Math.floor(first / blockRows);
  const blocks = Math.ceil(end / blockRows) - from;
  const width = shuffle ? Math.min(windowBlocks, blocks) : 1;
  // Where in the random stream an epoch starts, and each window of it, so that none waits for those before.
  const forBlocks = Math.ceil(blocks / 4);
  const forRows = Math.ceil(Math.min(end - first, width * blockRows) / 4);
  const origin = firstBlock + epoch * (forBlocks + Math.ceil(blocks / width) * forRows);
  const order = shuffle ? new RandomStream(seed, origin).permutation(blocks) : undefined;
  for (let at = 0, window = 0; at < blocks; at += width, window++) {
    const chosen = Array.from({ length: Math.min(width, blocks - at) }, (_, i) => {
      const start = (from + (order ? order[at + i]! : at + i)) * blockRows;
      return { start: Math.max(first, start), end: Math.min(end, start + blockRows) };
    });
    const rows = chosen.reduce((sum, { start, end }) => sum + end - start, 0);
    const random = origin + forBlocks + window * forRows;
    yield {
      blocks: chosen,
      count: rows,
      order: () =>
        shuffle
          ? new RandomStream(seed, random).permutation(rows)
          : Uint32Array.from({ length: rows }, (_, i) => i),
    };
  }
}

function requireRange(
  op: string,
  count: number,
  range: RowFileOptions['range'] = [0, count],
): RowFileOptions['range'] & object {
  requireList(op, 'range', range, '[start, end]');
  const [start, end] = range;
  requireWhole(op, 'the start of range', start, 0, count - 1);
  requireWhole(op, 'the end of range', end, start + 1, count);
  return range;
}

/** Block of the random stream where the orders of epochs begin, as those of `indexBatches` do. */
const firstBlock = 2 ** 48;

async function* batches(
  file: RowFile,
  windows: Iterable<Window>,
  { batchSize, from, count }: Required<RowBatchOptions> & { readonly count: number },
  read: (reader: RowReader, start: number, end: number) => Promise<Rows>,
): AsyncGenerator<Rows, void, undefined> {
  const reader = await file.open();
  try {
    let skip = from * batchSize;
    let batch: Batch | undefined;
    for (const window of windows) {
      if (skip >= window.count) {
        skip -= window.count;
        continue;
      }
      const held: Rows[] = [];
      for (const { start, end } of window.blocks) held.push(await read(reader, start, end));
      const blockRows = window.blocks.map(({ start, end }) => end - start);
      for (const row of window.order().subarray(skip)) {
        batch ??= new Batch(held[0]!, Math.min(batchSize, count));
        const [block, within] = placeOf(row, blockRows);
        batch.add(held[block]!, within);
        if (batch.full) {
          yield batch.rows();
          batch = undefined;
        }
      }
      skip = 0;
    }
    if (batch) yield batch.rows();
  } finally {
    await reader.close();
  }
}

/** Which block a row of a window is in: not all have as many, and the last one of the file may stand anywhere. */
function placeOf(row: number, counts: readonly number[]): [number, number] {
  let within = row;
  let block = 0;
  for (; within >= counts[block]!; block++) within -= counts[block]!;
  return [block, within];
}

/** Rows that are gathered until they are a batch. */
class Batch {
  readonly #size: number;
  readonly #parts: {
    name: keyof Rows;
    shape: readonly number[];
    row: number;
    data: HostArray['data'];
  }[];
  #count = 0;

  /** @param like - Rows of the same shapes and types. */
  constructor(like: Rows, size: number) {
    this.#size = size;
    this.#parts = namesOf(like).map(([name, { shape, data }]) => {
      const row = data.length / shape[0]!;
      return { name, shape: shape.slice(1), row, data: likeArray(data, size * row) };
    });
  }

  get full(): boolean {
    return this.#count === this.#size;
  }

  add(rows: Rows, index: number): void {
    for (const { name, row, data } of this.#parts) {
      copyRow(rows[name]!.data, index, data, this.#count, row);
    }
    this.#count++;
  }

  rows(): Rows {
    const arrays = this.#parts.map(({ name, shape, row, data }) => {
      const filled = this.full ? data : data.slice(0, this.#count * row);
      return [name, { shape: [this.#count, ...shape], data: filled }] as const;
    });
    const { x, ...others }: Partial<Record<keyof Rows, HostArray>> = Object.fromEntries(arrays);
    return { x: x!, ...others };
  }
}

function namesOf(rows: Rows): [keyof Rows, HostArray][] {
  const names = ['x', 'context', 'weights'] as const;
  return names.flatMap((name) => {
    const array = rows[name];
    return array ? [[name, array]] : [];
  });
}

async function reading<T>(file: RowFile, use: (reader: RowReader) => Promise<T>): Promise<T> {
  const reader = await file.open();
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}
