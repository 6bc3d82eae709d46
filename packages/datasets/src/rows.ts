/**
 * Rows to train on, from memory or from a source that is larger than memory: x, and what belongs to each x, a context
 * and a weight. Batches are plain arrays of floats; whoever trains makes tensors of them.
 *
 * Left out: files, whose readers give a `RowSource` each (`npy.ts`, `csv.ts`, `zarr.ts`, `images.ts`).
 */
import {
  checkShape,
  formatShape,
  formatValue,
  RandomStream,
  requireBetween,
  requireBoolean,
  requireOptions,
  requireWhole,
  type Shape,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { indexBatches } from './batches.ts';
import {
  copyRow,
  type HostArray,
  likeArray,
  requireFiniteCells,
  requireHostArray,
} from './host-array.ts';

/** Some rows: of each array as many. */
export interface Rows {
  /** [N, …] */
  readonly x: HostArray;
  /** What the density of x is conditioned on, [N, …]. */
  readonly context?: HostArray;
  /** What a row counts in the loss, [N], not negative. Default: 1 each. */
  readonly weights?: HostArray;
}

/** Which batches, in which order. */
export interface RowBatchOptions {
  /** Rows of a batch; the last one of an epoch has what is left. */
  readonly batchSize: number;
  /** Each epoch's order follows from the seed and the epoch alone. */
  readonly seed: number;
  readonly epoch: number;
  /** Batches to leave out at the start of the epoch, which is how a run goes on. Default: 0. */
  readonly from?: number;
  /** Default: true. Otherwise rows come as they are stored. */
  readonly shuffle?: boolean;
}

/** Where rows come from, epoch after epoch. */
export interface RowSource {
  /** Rows of an epoch. */
  readonly count: number;
  /** Of one row. */
  readonly shapes: { readonly x: Shape; readonly context?: Shape };
  /** The batches of an epoch: each row occurs in one of them. */
  batches(options: RowBatchOptions): AsyncIterable<Rows>;
}

/**
 * A source of rows that are in memory, in an order that is uniformly random. They are not copied, but for a batch.
 *
 * @throws ValueError for cells that are not finite, with row and column, and for what is no array of floats.
 * @throws ShapeError for another number of contexts or weights than of x.
 * @example
 * const source = arrayRows({ x: { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) } });
 * for await (const { x } of source.batches({ batchSize: 2, seed: 1, epoch: 0 })) console.log(x.shape); // [2, 2], [1, 2]
 */
export function arrayRows(rows: Rows): RowSource {
  const own = requireRows('arrayRows', rows);
  const count = own.x.shape[0]!;
  return {
    count,
    shapes: shapesOf(own),
    batches(options) {
      const batches = indicesOf('arrayRows', count, options);
      return (async function* () {
        for (const { indices } of batches) yield take(own, indices);
      })();
    },
  };
}

/**
 * Some of the rows, copied, in the order of the indices.
 *
 * @throws ValueError for an index beyond the last row, or none at all; and as `arrayRows`.
 * @example selectRows(rows, [4, 0]) // the fifth row and the first
 */
export function selectRows(rows: Rows, indices: readonly number[] | Uint32Array): Rows {
  const own = requireRows('selectRows', rows);
  const count = own.x.shape[0]!;
  if (!(Array.isArray(indices) || indices instanceof Uint32Array) || indices.length === 0) {
    throw new ValueError(`selectRows: indices are ${formatValue(indices)}; expected some rows.`);
  }
  for (const index of indices) requireWhole('selectRows', 'an index', index, 0, count - 1);
  return take(own, indices);
}

/** How to split rows. */
export interface SplitRowsOptions {
  /** Which part is kept from training, above 0 and below 1; of it at least one row. */
  readonly validation: number;
  /** Which rows those are follows from it. */
  readonly seed: number;
}

/**
 * Rows for training and others for validation, chosen at random; both are copies.
 *
 * @throws ValueError unless there are two rows at least; and as `arrayRows`.
 * @example
 * const { training, validation } = splitRows({ x }, { validation: 0.1, seed: 1 });
 */
export function splitRows(
  rows: Rows,
  options: SplitRowsOptions,
): { training: Rows; validation: Rows } {
  requireOptions('splitRows', options, ['validation', 'seed']);
  const { validation, seed } = options;
  requireBetween('splitRows', 'validation', validation, 0, 1);
  requireWhole('splitRows', 'seed', seed, 0);
  const own = requireRows('splitRows', rows);
  const count = own.x.shape[0]!;
  if (count < 2) {
    throw new ValueError(
      'splitRows: there is 1 row; expected at least 2, one to train on and one for validation.',
    );
  }
  const kept = Math.min(count - 1, Math.max(1, Math.round(validation * count)));
  const order = new RandomStream(seed, splitBlock).permutation(count);
  return {
    training: take(own, order.slice(kept).sort()),
    validation: take(own, order.slice(0, kept).sort()),
  };
}

/** Block of the random stream where splits begin, far behind those of shuffles. */
const splitBlock = 2 ** 52;

/**
 * Rows whose arrays are checked.
 *
 * @param how.first - The number of the first row, for messages. Default: 0.
 * @param how.finite - Must all numbers be? Default: true.
 */
export function requireRows(
  op: string,
  rows: Rows,
  { first = 0, finite = true }: { readonly first?: number; readonly finite?: boolean } = {},
): Rows {
  requireOptions(op, rows, ['x', 'context', 'weights']);
  const x = requireHostArray(op, 'x', rows.x);
  const own: { x: HostArray; context?: HostArray; weights?: HostArray } = { x };
  if (finite) requireFiniteCells(op, 'x', x, first);
  for (const name of ['context', 'weights'] as const) {
    const given = rows[name];
    if (given === undefined) continue;
    const array = requireHostArray(op, name, given);
    if (array.shape[0] !== x.shape[0]) {
      throw new ShapeError(
        `${op}: ${name} has ${array.shape[0]} rows, x has ${x.shape[0]}; expected as many.`,
      );
    }
    if (finite) requireFiniteCells(op, name, array, first);
    own[name] = array;
  }
  const { weights } = own;
  if (weights && weights.shape.length !== 1) {
    throw new ShapeError(`${op}: weights are ${formatShape(weights.shape)}; expected [N].`);
  }
  const negative = weights?.data.findIndex((weight) => weight < 0) ?? -1;
  if (negative >= 0) {
    throw new ValueError(
      `${op}: the weight of row ${first + negative} is ${weights!.data[negative]}; expected none below 0.`,
    );
  }
  return own;
}

/** The shapes of one row. */
export function shapesOf({ x, context }: Rows): RowSource['shapes'] {
  const shapes = { x: checkShape('shapesOf', x.shape.slice(1)) };
  if (!context) return shapes;
  return { ...shapes, context: checkShape('shapesOf', context.shape.slice(1)) };
}

/** @throws ValueError for sizes, seeds and places that cannot be used. */
export function requireBatchOptions(
  op: string,
  count: number,
  options: RowBatchOptions,
): Required<RowBatchOptions> {
  requireOptions(op, options, ['batchSize', 'seed', 'epoch', 'from', 'shuffle']);
  const { batchSize, seed, epoch, from = 0, shuffle = true } = options;
  requireWhole(op, 'batchSize', batchSize, 1);
  requireWhole(op, 'seed', seed, 0);
  requireWhole(op, 'epoch', epoch, 0, 2 ** 32);
  requireWhole(op, 'from', from, 0, Math.ceil(count / batchSize));
  requireBoolean(op, 'shuffle', shuffle);
  return { batchSize, seed, epoch, from, shuffle };
}

function indicesOf(op: string, count: number, options: RowBatchOptions) {
  const { from, epoch, ...rest } = requireBatchOptions(op, count, options);
  const position = Math.min(count, from * rest.batchSize);
  const start = { epoch, position };
  return indexBatches({ ...rest, count, dropLast: false, epochs: epoch + 1, start });
}

function take({ x, context, weights }: Rows, indices: ArrayLike<number>): Rows {
  return {
    x: gather(x, indices),
    ...(context && { context: gather(context, indices) }),
    ...(weights && { weights: gather(weights, indices) }),
  };
}

function gather({ shape, data }: HostArray, indices: ArrayLike<number>): HostArray {
  const size = data.length / shape[0]!;
  const taken = likeArray(data, indices.length * size);
  for (let i = 0; i < indices.length; i++) copyRow(data, indices[i]!, taken, i, size);
  return { shape: [indices.length, ...shape.slice(1)], data: taken };
}
