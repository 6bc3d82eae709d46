/** Operators on plain arrays, for libraries that know no tensors. */
import {
  formatValue,
  requireFunction,
  requireOptions,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type LinearOperator, makeOperator, requireOperator } from './linear-operator.ts';
import { disposeVector, isShapes, leavesOf, type Vector, type VectorLike } from './vector.ts';

/** A linear map between arrays of `cols` and of `rows` numbers. */
export interface ArrayOperator {
  readonly rows: number;
  readonly cols: number;
  apply(u: ArrayLike<number>): Promise<Float64Array>;
  adjoint(v: ArrayLike<number>): Promise<Float64Array>;
}

/**
 * The operator on flat arrays, all leaves one behind the other.
 *
 * @example const { apply } = toArrays(jacobian(net, x, { with: 'input' }));
 */
export function toArrays(op: LinearOperator): ArrayOperator {
  requireOperator('toArrays', op);
  const run = async (map: LinearOperator, values: ArrayLike<number>) => {
    const made = [fill(map.domain, values)];
    try {
      const result = map.apply(made[0]!);
      made.push(result);
      const parts = await Promise.all(leavesOf(result).map((t) => t.data()));
      return Float64Array.from(parts.flatMap((part) => [...part]));
    } finally {
      for (const v of made) disposeVector(v);
    }
  };
  return {
    rows: sizeOfVector(op.range),
    cols: sizeOfVector(op.domain),
    apply: (u) => run(op, u),
    adjoint: (v) => run(op.adjoint, v),
  };
}

/** The operator of functions on arrays, which read at once: on CPU backends only. */
export function fromArrays(parts: {
  readonly rows: number;
  readonly cols: number;
  apply(u: ArrayLike<number>): ArrayLike<number>;
  adjoint(v: ArrayLike<number>): ArrayLike<number>;
}): LinearOperator<Tensor, Tensor> {
  requireOptions('fromArrays', parts, ['rows', 'cols', 'apply', 'adjoint']);
  requireFunction('fromArrays', 'apply', parts.apply);
  requireFunction('fromArrays', 'adjoint', parts.adjoint);
  const run = (f: (x: ArrayLike<number>) => ArrayLike<number>, x: Tensor, size: number) =>
    tensor(Array.from(requireNumbers(f(x.dataSync()), size)), [size], x);
  return makeOperator<Tensor, Tensor>({
    domain: { shape: [parts.cols] },
    range: { shape: [parts.rows] },
    apply: (u) => run(parts.apply, u, parts.rows),
    applyAdjoint: (v) => run(parts.adjoint, v, parts.cols),
  });
}

/** A vector of a shape with the given numbers. @throws ShapeError unless they are as many. */
function fill(shape: VectorLike, values: ArrayLike<number>): Vector {
  requireNumbers(values, sizeOfVector(shape));
  let start = 0;
  const take = (part: VectorLike): Vector => {
    if (isShapes(part)) return tidy(() => part.map(take));
    const length = sizeOf(part.shape);
    const numbers = Array.from({ length }, (_, i) => values[start + i]!);
    start += length;
    return tensor(numbers, part.shape);
  };
  return take(shape);
}

/** The array itself, looked at before it is copied. @throws ValueError, ShapeError unless it has that size. */
function requireNumbers(values: ArrayLike<number>, size: number): ArrayLike<number> {
  if (typeof values?.length !== 'number') {
    throw new ValueError(`operator: got ${formatValue(values)}; expected an array of numbers.`);
  }
  if (values.length === size) return values;
  throw new ShapeError(`operator: got ${values.length} numbers; expected ${size}.`);
}

/** How many numbers a vector of a shape has. */
function sizeOfVector(shape: VectorLike): number {
  if (!isShapes(shape)) return sizeOf(shape.shape);
  return shape.reduce((total, part) => total + sizeOfVector(part), 0);
}
