/**
 * Seeded, shuffled mini-batches of indices. A batch carries the place that follows it, so a run
 * that saved this place goes on with the very batches that an uninterrupted one would have seen.
 *
 * Left out: the data themselves. `takeRows` gathers rows of a byte array; anything else can be
 * indexed as the caller likes.
 */
import {
  formatValue,
  OutOfMemoryError,
  RandomStream,
  requireBoolean,
  requireBytes,
  requireOptions,
  requireRecord,
  requireWhole,
  ValueError,
} from '@invnet/tensor';

/** A place in the sequence of batches. */
export interface BatchPlace {
  /** Epochs that are complete. */
  readonly epoch: number;
  /** Samples of the current epoch that are used up. */
  readonly position: number;
}

/** What to draw from, and how. */
export interface BatchOptions {
  /** Number of samples: indices run from 0 to count − 1. */
  readonly count: number;
  readonly batchSize: number;
  /** Each epoch's order follows from the seed and the epoch alone. */
  readonly seed: number;
  /** Default: true. Otherwise every epoch runs in order. */
  readonly shuffle?: boolean;
  /** Skips an epoch's last batch when it is not full. Default: true. */
  readonly dropLast?: boolean;
  /** Where to stop, counted from the very start, resumed or not. Default: never. */
  readonly epochs?: number;
  /** Where to begin: the `next` of the last batch that was used. Default: the start. */
  readonly start?: BatchPlace;
}

/** Some samples, at a place in the sequence. */
export interface IndexBatch extends BatchPlace {
  readonly indices: Uint32Array;
  /** The place after this batch: save it to resume. */
  readonly next: BatchPlace;
}

/**
 * Batches of indices, epoch after epoch; in each epoch every sample occurs once (with `dropLast`,
 * at most once).
 *
 * @throws ValueError for sizes, seeds or places that cannot be used, at once.
 * @example
 * for (const { indices, epoch } of indexBatches({ count: 60000, batchSize: 64, seed: 1, epochs: 2 })) {
 *   const pixels = takeRows(images, indices, 28 * 28);
 * }
 */
export function indexBatches(options: BatchOptions): Generator<IndexBatch, void, undefined> {
  requireOptions('indexBatches', options, optionNames);
  const { count, batchSize, epochs = Number.POSITIVE_INFINITY, dropLast = true } = options;
  const { shuffle = true, start = { epoch: 0, position: 0 } } = options;
  requireRecord('indexBatches', 'start', start, '{ epoch, position }');
  const { epoch, position } = start;
  requireWhole('indexBatches', 'count', count, 1, 2 ** 29);
  requireWhole('indexBatches', 'batchSize', batchSize, 1);
  requireWhole('indexBatches', 'seed', options.seed, 0);
  requireBoolean('indexBatches', 'shuffle', shuffle);
  requireBoolean('indexBatches', 'dropLast', dropLast);
  if (epochs !== Number.POSITIVE_INFINITY) requireWhole('indexBatches', 'epochs', epochs, 0);
  requireWhole('indexBatches', 'start.epoch', epoch, 0);
  requireWhole('indexBatches', 'start.position', position, 0);
  if (position > count) {
    throw new ValueError(
      `indexBatches: start.position ${position} is behind the ${count} samples of an epoch; was ` +
        'the place saved with another data set?',
    );
  }
  if (dropLast && batchSize > count) {
    throw new ValueError(
      `indexBatches: batchSize ${batchSize} exceeds the count of ${count}, so no batch is ever ` +
        'full; choose a smaller one, or dropLast: false.',
    );
  }
  return generate(options, epochs, dropLast, { epoch, position });
}

const optionNames = ['count', 'batchSize', 'seed', 'shuffle', 'dropLast', 'epochs', 'start'];

/**
 * Gathers rows of a byte array that holds rows of `rowSize` bytes.
 *
 * @throws ValueError for what is no byte array or not one of whole rows, or an index beyond the last row.
 * @example takeRows(images, indices, 28 * 28) // [indices.length, 28, 28]
 */
export function takeRows(
  bytes: Uint8Array | Uint8ClampedArray,
  indices: ArrayLike<number>,
  rowSize: number,
): Uint8Array<ArrayBuffer> {
  requireBytes('takeRows', 'bytes', bytes);
  requireWhole('takeRows', 'rowSize', rowSize, 1, Math.max(1, bytes.length));
  requireWhole('takeRows', 'the number of indices', indices?.length, 0);
  if (bytes.length % rowSize !== 0) {
    throw new ValueError(
      `takeRows: ${bytes.length} bytes are no whole number of rows of ${rowSize}; expected the size of one ` +
        'sample as rowSize.',
    );
  }
  const count = bytes.length / rowSize;
  if (indices.length * rowSize > 2 ** 32) {
    throw new OutOfMemoryError(
      `takeRows: ${indices.length} rows of ${rowSize} bytes; expected at most 2^32 bytes at once.`,
    );
  }
  const rows = new Uint8Array(indices.length * rowSize);
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i]!;
    if (!(Number.isInteger(row) && row >= 0 && row < count)) {
      throw new ValueError(
        `takeRows: row ${formatValue(row)} of ${count} rows of ${rowSize} bytes.`,
      );
    }
    rows.set(bytes.subarray(row * rowSize, (row + 1) * rowSize), i * rowSize);
  }
  return rows;
}

function* generate(
  { count, batchSize, seed, shuffle = true }: BatchOptions,
  epochs: number,
  dropLast: boolean,
  start: BatchPlace,
): Generator<IndexBatch, void, undefined> {
  let { epoch, position } = start;
  const least = dropLast ? batchSize : 1;
  for (; epoch < epochs; epoch++, position = 0) {
    if (count - position < least) continue;
    const order = shuffle ? shuffled(count, seed, epoch) : inOrder(count);
    while (count - position >= least) {
      const end = Math.min(position + batchSize, count);
      const done = count - end < least;
      const next = done ? { epoch: epoch + 1, position: 0 } : { epoch, position: end };
      yield { epoch, position, indices: order.slice(position, end), next };
      position = end;
    }
  }
}

/** Block of the random stream where shuffles begin: no other use of the seed gets this far. */
const firstBlock = 2 ** 48;

function shuffled(count: number, seed: number, epoch: number): Uint32Array {
  return new RandomStream(seed, firstBlock + epoch * Math.ceil(count / 4)).permutation(count);
}

function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}
