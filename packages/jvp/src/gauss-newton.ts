/** The Gauss–Newton operator of a flow's loss. Mathematics: docs/math/jvp/jacobian.md */
import { type Bijection, requireBijection, type State, tensorsOf } from '@invnet/layers';
import {
  affine,
  clone,
  requireFinite,
  requireFunction,
  requireOptions,
  type Tensor,
} from '@invnet/tensor';
import {
  type Direction,
  type JacobianOptions,
  jacobian,
  jacobianOptions,
  type With,
} from './jacobian.ts';
import {
  addOperators,
  composeOperators,
  identityOperator,
  type LinearOperator,
  makeOperator,
  scaleOperator,
} from './linear-operator.ts';
import { leavesOf, mapVector, type Vector } from './vector.ts';

/** Options of `gaussNewton`. */
export interface GaussNewtonOptions<W extends With> extends Omit<JacobianOptions<W>, 'logdet'> {
  /** H: the second derivative of the loss in y, symmetric, applied to dy. Default: dy/N. */
  readonly hessian?: (dy: Vector) => Vector;
  /** Weight of the log-determinant's curvature; 0 leaves it out. Default: 1/N. */
  readonly logdetWeight?: number;
  /** Added times the identity. Default: 0. */
  readonly damping?: number;
}

/** A Gauss–Newton operator, to be disposed like the Jacobian that it holds. */
export interface GaussNewton<U extends Vector> extends LinearOperator<U, U> {
  dispose(): void;
}

/**
 * Jᵀ H J + w Σₙ ∇ℓₙ ∇ℓₙᵀ + λ I: the curvature of a loss l(y) − w Σₙ ℓₙ without second derivatives
 * of the network. The second term is that of −log|det|, as a convex function of the determinant.
 * With the default H and w it belongs to the mean negative log-likelihood of a normal base.
 *
 * @example
 * const gn = gaussNewton(net, x, { with: 'parameters', damping: 1e-3 });
 * const { x: step } = await cg(gn, gradients(net.parameters));
 */
export function gaussNewton<S extends State, W extends With>(
  net: Bijection<S>,
  x: S,
  options: GaussNewtonOptions<W>,
): GaussNewton<Direction<S, W>> {
  const names = jacobianOptions.filter((name) => name !== 'logdet');
  requireOptions('gaussNewton', options, [...names, 'hessian', 'logdetWeight', 'damping']);
  requireBijection('gaussNewton', 'net', net as Bijection<State>);
  const { hessian: asked, logdetWeight: weight, damping = 0, ...rest } = options;
  if (asked !== undefined) requireFunction('gaussNewton', 'hessian', asked);
  if (weight !== undefined) requireFinite('gaussNewton', 'logdetWeight', weight);
  requireFinite('gaussNewton', 'damping', damping);
  const samples = tensorsOf(x)[0]!.shape[0]!;
  const logdetWeight = weight ?? 1 / samples;
  const J = jacobian(net, x, { ...rest, logdet: true });
  const given = asked ?? ((dy) => mapVector(dy, (t) => affine(t, 1 / samples)));
  const hessian = (dy: Vector): Vector => {
    const passed = new Set(leavesOf(dy));
    // dy is freed after this, so an H that hands it back, as dy => dy does, needs a copy.
    return mapVector(given(dy), (t) => (passed.has(t) ? clone(t) : t));
  };
  const curvature = makeOperator<readonly [S, Tensor], readonly [S, Tensor]>({
    domain: J.range,
    range: J.range,
    apply: ([dy, dlogdet]) => [hessian(dy) as S, affine(dlogdet, logdetWeight)],
    applyAdjoint: ([dy, dlogdet]) => [hessian(dy) as S, affine(dlogdet, logdetWeight)],
  });
  const product = composeOperators(J.adjoint, composeOperators(curvature, J));
  const damped =
    damping === 0
      ? product
      : addOperators(product, scaleOperator(identityOperator<Direction<S, W>>(J.domain), damping));
  return Object.assign(damped, { dispose: () => J.dispose() });
}
