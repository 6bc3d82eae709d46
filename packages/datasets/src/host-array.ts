/**
 * Arrays of floats in plain memory, batch first: what rows are made of before they become tensors. Integers become floats by
 * `toHostArray`, or where rows are read; elsewhere they are refused, so that nothing is rounded in silence.
 */
import {
  checkShape,
  formatShape,
  formatValue,
  requireRecord,
  ShapeError,
  sizeOf,
  ValueError,
} from '@invnet/tensor';
import { type TypedNumbers, toFloats } from './numeric-data.ts';

/** Floats with a shape, batch first, row-major. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/**
 * What a file holds, of whatever type, as floats: what `fit` and posteriors take. Numbers that float32 holds exactly become such,
 * others float64; whole numbers beyond 2⁵³ that are no float64 become NaN, which those refuse.
 *
 * @throws ValueError for what is no array of numbers. @throws ShapeError for a shape that they do not fill, or that has no axis.
 * @example
 * const theta = toHostArray(parseNpy(await readFile('theta.npy'))); // floats or integers, [N, D]
 */
export function toHostArray(array: {
  readonly shape: readonly number[];
  readonly data: TypedNumbers;
}): HostArray {
  const op = 'toHostArray';
  requireRecord(op, 'the array', array, '{ shape, data }');
  const { shape, data } = array;
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    throw new ValueError(`${op}: the data are ${formatValue(data)}; expected a typed array.`);
  }
  return requireHostArray(op, 'the array', { shape, data: toFloats(data) });
}

/**
 * Marks what is missing for a network that can do without: [N, C, …] with NaN cells becomes [N, 2C, …], in which the
 * first C columns (or channels) have 0 in place of NaN, and the others are 1 where a number was and 0 where none was.
 * For contexts: a density of x itself needs all of x.
 *
 * @throws ShapeError for an array of one axis. @throws ValueError for what is no array, or infinite.
 * @example
 * maskMissing({ shape: [1, 2], data: Float32Array.of(5, Number.NaN) }); // [1, 4]: 5, 0, 1, 0
 */
export function maskMissing(array: HostArray): HostArray {
  return masked('maskMissing', 'the array', array, 0);
}

/** As `maskMissing`, in the name of others; rows are counted from `first`. */
export function masked(op: string, name: string, array: HostArray, first: number): HostArray {
  const { shape, data } = requireHostArray(op, name, array);
  const [count, channels, ...rest] = shape;
  if (channels === undefined) {
    throw new ShapeError(`${op}: ${name} is ${formatShape(shape)}; expected [N, C, …].`);
  }
  const row = data.length / count!;
  const doubled = likeArray(data, 2 * data.length);
  data.forEach((value, i) => {
    const at = 2 * row * Math.floor(i / row) + (i % row);
    doubled[at] = Number.isNaN(value) ? 0 : value;
    doubled[at + row] = Number.isNaN(value) ? 0 : 1;
  });
  const result = { shape: [count!, 2 * channels, ...rest], data: doubled };
  requireFiniteCells(op, name, result, first);
  return result;
}

/**
 * A copy whose shape is checked and frozen, over the same numbers.
 *
 * @throws ValueError for what is no array of floats. @throws ShapeError for a shape that its numbers do not fill.
 */
export function requireHostArray(op: string, name: string, array: HostArray): HostArray {
  requireRecord(op, name, array, '{ shape, data }');
  const { data } = array;
  if (!(data instanceof Float32Array || data instanceof Float64Array)) {
    throw new ValueError(
      `${op}: the data of ${name} are ${formatValue(data)}; expected a Float32Array or a Float64Array.`,
    );
  }
  const shape = checkShape(`${op}: ${name}`, array.shape);
  if (shape.length === 0 || sizeOf(shape) !== data.length) {
    throw new ShapeError(
      `${op}: ${name} has shape ${formatShape(shape)} and ${data.length} numbers; expected a batch of rows, ` +
        'and as many numbers as it holds.',
    );
  }
  return { shape, data };
}

/** @throws ValueError with row and column of the first cell that is NaN or infinite; rows are counted from `first`. */
export function requireFiniteCells(
  op: string,
  name: string,
  { shape, data }: HostArray,
  first: number,
): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const size = data.length / shape[0]!;
  throw new ValueError(
    `${op}: ${name} is ${data[at]} in row ${first + Math.floor(at / size)}, column ${at % size} (both from 0); ` +
      'expected finite numbers. Leave such rows out; in contexts, maskMissing marks what is missing.',
  );
}

/** An array of zeros of the same type. */
export function likeArray(data: Float32Array | Float64Array, size: number) {
  return data instanceof Float32Array ? new Float32Array(size) : new Float64Array(size);
}

/** Copies row `source` of an array into row `target` of another, each of `size` numbers. */
export function copyRow(
  from: HostArray['data'],
  source: number,
  to: HostArray['data'],
  target: number,
  size: number,
): void {
  const start = source * size;
  const place = target * size;
  // For a few numbers a view takes longer to make than they take to copy.
  if (size > 64) to.set(from.subarray(start, start + size), place);
  else for (let i = 0; i < size; i++) to[place + i] = from[start + i]!;
}
