/** Linear maps by their action and that of their adjoint. Nothing here forms a matrix. */
import {
  checkShape,
  InvNetError,
  requireFinite,
  requireFunction,
  requireOptions,
  requireRecord,
  requireWhole,
  type Shape,
  type Tensor,
} from '@invnet/tensor';
import {
  addInPlace,
  changeVector,
  consumeVector,
  copyVector,
  describeShape,
  requireVector,
  sameShape,
  scaleInPlace,
  shapeOf,
  type Vector,
  type VectorLike,
} from './vector.ts';

/** A linear map from vectors U to vectors V. Results belong to the caller. */
export interface LinearOperator<U extends Vector = Vector, V extends Vector = Vector> {
  /** Shape of the arguments. */
  readonly domain: VectorLike;
  /** Shape of the results. */
  readonly range: VectorLike;
  /** A u. @throws ShapeError for a vector of another shape. */
  apply(u: U): V;
  /** Aᵀ; its adjoint is this operator. */
  readonly adjoint: LinearOperator<V, U>;
}

/** What an operator is made of. */
export interface OperatorParts<U extends Vector, V extends Vector> {
  readonly domain: VectorLike;
  readonly range: VectorLike;
  apply(u: U): V;
  applyAdjoint(v: V): U;
}

/** Operators do not fit each other. */
export class OperatorError extends InvNetError {
  override name = 'OperatorError';
}

/**
 * The operator of two functions, each the adjoint of the other; `dotTest` checks that they are.
 *
 * @example
 * const blur = makeOperator({
 *   domain: { shape: [1, 1, 32, 32] },
 *   range: { shape: [1, 1, 32, 32] },
 *   apply: (u) => conv(u, w, { padding: 1 }),
 *   applyAdjoint: (v) => convInputGrad(v, w, [1, 1, 32, 32], { padding: 1 }),
 * });
 */
export function makeOperator<U extends Vector, V extends Vector>(
  parts: OperatorParts<U, V>,
): LinearOperator<U, V> {
  requireOptions('makeOperator', parts, ['domain', 'range', 'apply', 'applyAdjoint']);
  requireFunction('makeOperator', 'apply', parts.apply);
  requireFunction('makeOperator', 'applyAdjoint', parts.applyAdjoint);
  const domain = shapeOf(parts.domain);
  const range = shapeOf(parts.range);
  const forward: LinearOperator<U, V> = {
    domain,
    range,
    apply(u) {
      requireVector('operator', u, domain);
      return parts.apply(u);
    },
    get adjoint() {
      return backward;
    },
  };
  const backward: LinearOperator<V, U> = {
    domain: range,
    range: domain,
    apply(v) {
      requireVector('adjoint operator', v, range);
      return parts.applyAdjoint(v);
    },
    get adjoint() {
      return forward;
    },
  };
  return forward;
}

/**
 * The operator of a linear map that works on batches, [N, ...domain] to [N, ...range], such as those of
 * `@invnet/operators`, on batches of so many samples.
 *
 * @throws ValueError, ShapeError unless the map has both functions and both shapes.
 * @example
 * const A = operatorOf(new PhaseEncodedFourier({ size: [64, 64], lines }));
 * await assertAdjoint(A);
 * const { x } = await lsqr(A, data, { maxIterations: 20 });
 */
export function operatorOf(
  map: {
    readonly domain: Shape;
    readonly range: Shape;
    forward(u: Tensor): Tensor;
    adjoint(r: Tensor): Tensor;
  },
  samples = 1,
): LinearOperator<Tensor, Tensor> {
  requireRecord('operatorOf', 'the map', map, '{ domain, range, forward, adjoint }');
  requireFunction('operatorOf', "the map's forward", map.forward);
  requireFunction('operatorOf', "the map's adjoint", map.adjoint);
  requireWhole('operatorOf', 'samples', samples, 1);
  return makeOperator<Tensor, Tensor>({
    domain: { shape: [samples, ...checkShape('operatorOf', map.domain)] },
    range: { shape: [samples, ...checkShape('operatorOf', map.range)] },
    apply: (u) => map.forward(u),
    applyAdjoint: (v) => map.adjoint(v),
  });
}

/** @throws ValueError, ShapeError unless it is an operator. */
export function requireOperator(op: string, A: LinearOperator<never, Vector>): void {
  requireRecord(op, 'the operator', A, 'a LinearOperator, as of makeOperator');
  requireFunction(op, "the operator's apply", A.apply);
  requireFunction(op, "the adjoint's apply", A.adjoint?.apply);
  shapeOf(A.domain);
  shapeOf(A.range);
}

/** I on vectors of a shape. */
export function identityOperator<U extends Vector>(shape: VectorLike): LinearOperator<U, U> {
  return makeOperator<U, U>({
    domain: shape,
    range: shape,
    apply: copyVector,
    applyAdjoint: copyVector,
  });
}

/** A B: first B, then A. @throws OperatorError unless B's range is A's domain. */
export function composeOperators<U extends Vector, V extends Vector, W extends Vector>(
  a: LinearOperator<V, W>,
  b: LinearOperator<U, V>,
): LinearOperator<U, W> {
  requireOperator('composeOperators', a);
  requireOperator('composeOperators', b);
  requireFit('composeOperators', 'range of the inner one', b.range, a.domain);
  const through = <X extends Vector, Y extends Vector, Z extends Vector>(
    second: LinearOperator<Y, Z>,
    first: LinearOperator<X, Y>,
    x: X,
  ): Z => consumeVector(first.apply(x), (inner) => second.apply(inner));
  return makeOperator({
    domain: b.domain,
    range: a.range,
    apply: (u: U) => through(a, b, u),
    applyAdjoint: (w: W) => through(b.adjoint, a.adjoint, w),
  });
}

/** A + B. @throws OperatorError unless domains and ranges are the same. */
export function addOperators<U extends Vector, V extends Vector>(
  a: LinearOperator<U, V>,
  b: LinearOperator<U, V>,
): LinearOperator<U, V> {
  requireOperator('addOperators', a);
  requireOperator('addOperators', b);
  requireFit('addOperators', 'domain', b.domain, a.domain);
  requireFit('addOperators', 'range', b.range, a.range);
  const sum = <X extends Vector, Y extends Vector>(
    first: LinearOperator<X, Y>,
    second: LinearOperator<X, Y>,
    x: X,
  ): Y => {
    return changeVector(first.apply(x), (total) => {
      consumeVector(second.apply(x), (term) => addInPlace(total, term));
    });
  };
  return makeOperator({
    domain: a.domain,
    range: a.range,
    apply: (u: U) => sum(a, b, u),
    applyAdjoint: (v: V) => sum(a.adjoint, b.adjoint, v),
  });
}

/** αA. */
export function scaleOperator<U extends Vector, V extends Vector>(
  a: LinearOperator<U, V>,
  alpha: number,
): LinearOperator<U, V> {
  requireOperator('scaleOperator', a);
  requireFinite('scaleOperator', 'alpha', alpha);
  const scaled = <X extends Vector>(made: X): X =>
    changeVector(made, (x) => scaleInPlace(x, alpha));
  return makeOperator({
    domain: a.domain,
    range: a.range,
    apply: (u: U) => scaled(a.apply(u)),
    applyAdjoint: (v: V) => scaled(a.adjoint.apply(v)),
  });
}

function requireFit(op: string, what: string, got: VectorLike, expected: VectorLike): void {
  if (sameShape(got, expected)) return;
  throw new OperatorError(
    `${op}: ${what} ${describeShape(got)}; expected ${describeShape(expected)}.`,
  );
}
