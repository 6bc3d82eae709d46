/** One observation or several, as users give them, made a batch. */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import { formatShape, formatValue, ShapeError, ValueError } from '@invnet/tensor';

/** One observation, as numbers or an array of its shape; or several of them, with an axis for the batch in front. */
export type Observations = readonly number[] | Float32Array | Float64Array | HostArray;

/** A batch of observations. */
export interface ObservationBatch {
  /** [K, …] */
  readonly x: HostArray;
  /** Was it one, without an axis for the batch? */
  readonly single: boolean;
}

/**
 * @param shape - Of one observation; null along an axis of any size.
 * @throws ShapeError for observations of another shape. @throws ValueError for numbers that are not finite.
 */
export function requireObservations(
  op: string,
  observations: Observations,
  shape: readonly (number | null)[],
): ObservationBatch {
  const given = requireFiniteObservations(op, observations);
  if (fits(given.shape, shape)) {
    return { x: { shape: [1, ...given.shape], data: given.data }, single: true };
  }
  if (given.shape[0]! > 0 && fits(given.shape.slice(1), shape)) return { x: given, single: false };
  const expected = `[${shape.map((n) => n ?? 'any').join(', ')}]`;
  throw new ShapeError(
    `${op}: x is ${formatShape(given.shape)}; expected one observation ${expected}, or several, [K, ${expected.slice(1)}.`,
  );
}

/** Observations as an array, before their shape is known. @throws ValueError for numbers that are not finite. */
export function requireFiniteObservations(op: string, observations: Observations): HostArray {
  const given = asArray(op, observations);
  const at = given.data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return given;
  throw new ValueError(
    `${op}: number ${at} of x is ${given.data[at]}; expected observations of finite numbers.`,
  );
}

function asArray(op: string, x: Observations): HostArray {
  if (x instanceof Float32Array || x instanceof Float64Array) return { shape: [x.length], data: x };
  if (!Array.isArray(x)) return requireHostArray(op, 'x', x as HostArray);
  const numbers: readonly unknown[] = x;
  if (!numbers.every((value) => typeof value === 'number') || x.length === 0) {
    throw new ValueError(`${op}: x is ${formatValue(x)}; expected numbers, or { shape, data }.`);
  }
  return { shape: [x.length], data: Float64Array.from(x) };
}

function fits(found: readonly number[], shape: readonly (number | null)[]): boolean {
  return (
    found.length === shape.length &&
    shape.every((n, i) => (n === null ? found[i]! > 0 : n === found[i]))
  );
}
