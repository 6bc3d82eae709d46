/** Operators on plain arrays, for libraries that know no tensors. */
import { type Shape, ShapeError, sizeOf, type Tensor, tensor } from '@invnet/tensor';
import { type LinearOperator, makeOperator } from './linear-operator.ts';
import { disposeVector, leavesOf, type Vector, type VectorLike, zerosOf } from './vector.ts';

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
  const sizeOfVector = (shape: VectorLike): number =>
    Array.isArray(shape)
      ? shape.reduce((total: number, part: VectorLike) => total + sizeOfVector(part), 0)
      : sizeOf((shape as { shape: Shape }).shape);
  const run = async (map: LinearOperator, values: ArrayLike<number>) => {
    const argument = fill(map.domain, values);
    const result = map.apply(argument);
    const parts = await Promise.all(leavesOf(result).map((t) => t.data()));
    disposeVector(argument);
    disposeVector(result);
    return Float64Array.from(parts.flatMap((part) => [...part]));
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
  const run = (f: (x: ArrayLike<number>) => ArrayLike<number>, x: Tensor, size: number) =>
    tensor(Float64Array.from(f(x.dataSync())), [size], x);
  return makeOperator<Tensor, Tensor>({
    domain: { shape: [parts.cols] },
    range: { shape: [parts.rows] },
    apply: (u) => run(parts.apply, u, parts.rows),
    applyAdjoint: (v) => run(parts.adjoint, v, parts.cols),
  });
}

/** A vector of a shape with the given numbers. @throws ShapeError unless they are as many. */
function fill(shape: VectorLike, values: ArrayLike<number>): Vector {
  const empty = zerosOf(shape);
  const size = leavesOf(empty).reduce((total, t) => total + t.size, 0);
  if (values.length !== size) {
    disposeVector(empty);
    throw new ShapeError(`operator: got ${values.length} numbers; expected ${size}.`);
  }
  let start = 0;
  const take = (v: Vector): Vector => {
    if (Array.isArray(v)) return v.map(take);
    const t = v as Tensor;
    const part = Float64Array.from({ length: t.size }, (_, i) => values[start + i]!);
    start += t.size;
    return tensor(part, t.shape, t);
  };
  const filled = take(empty);
  disposeVector(empty);
  return filled;
}
