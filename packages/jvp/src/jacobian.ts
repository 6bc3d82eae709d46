/** Jacobians of layers and networks as linear operators. Mathematics: docs/math/jvp/jacobian.md */
import {
  type Bijection,
  type Parameter,
  requireBijection,
  requireParameters,
  type State,
  tensorsOf,
} from '@invnet/layers';
import {
  keep,
  requireBoolean,
  requireOneOf,
  requireOptions,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { type LinearOperator, makeOperator } from './linear-operator.ts';
import { disposeVector, type Vector } from './vector.ts';
import { vjp } from './vjp.ts';

/** What the output is differentiated with respect to. */
export type With = 'input' | 'parameters' | 'both';

/** Options of `jacobian`. */
export interface JacobianOptions<W extends With = With, L extends boolean = boolean> {
  readonly with: W;
  /** The context at which to differentiate; it is held. */
  readonly context?: Tensor;
  /** Makes results [dy, dlogdet] instead of dy. Default: false. */
  readonly logdet?: L;
  /** The parameters that move, in this order. Default: all that are not frozen. */
  readonly parameters?: readonly Parameter[];
}

/** The names of the options. */
export const jacobianOptions = ['with', 'context', 'logdet', 'parameters'];

/** Directions: of the input, of the parameters in order, or both. */
export type Direction<S extends State, W extends With> = W extends 'input'
  ? S
  : W extends 'parameters'
    ? readonly Tensor[]
    : readonly [S, readonly Tensor[]];

/** Results: dy, or dy with that of the log-determinant. */
export type Response<S extends State, L extends boolean> = L extends true
  ? readonly [S, Tensor]
  : S;

/** A Jacobian, with the parameters that it moves. It owns the output y until it is disposed. */
export interface Jacobian<S extends State, W extends With, L extends boolean>
  extends LinearOperator<Direction<S, W>, Response<S, L>> {
  readonly parameters: readonly Parameter[];
  dispose(): void;
}

/**
 * J = ∂y/∂x, ∂y/∂θ or both at x, with the log-determinant as a further output if asked for. `apply`
 * costs a `jvp`, `adjoint.apply` a `backward`; gradients gathered in the parameters are left alone.
 * x is kept by reference: dispose it after the operator. y belongs to the parameters of now: make a
 * new operator when they have changed.
 *
 * @throws ValueError for a frozen parameter among those asked for, or one of another network.
 * @example
 * const J = jacobian(net, x, { with: 'parameters' });
 * const dy = J.apply(J.parameters.map((p) => random.normal(p.shape)));
 * const gradients = J.adjoint.apply(dy);
 */
export function jacobian<S extends State, W extends With, L extends boolean = false>(
  net: Bijection<S>,
  x: S,
  options: JacobianOptions<W, L>,
): Jacobian<S, W, L>;
export function jacobian<S extends State>(
  net: Bijection<S>,
  x: S,
  options: JacobianOptions,
): LinearOperator & { readonly parameters: readonly Parameter[]; dispose(): void } {
  requireBijection('jacobian', 'net', net as Bijection);
  requireOptions('jacobian', options, jacobianOptions);
  const { with: moving, context, logdet: withLogdet = false } = options;
  requireOneOf('jacobian', 'with', moving, ['input', 'parameters', 'both']);
  requireBoolean('jacobian', 'logdet', withLogdet);
  if (options.parameters !== undefined) requireParameters('jacobian', options.parameters);
  const parameters =
    moving === 'input' ? [] : (options.parameters ?? net.parameters.filter((p) => !p.frozen));
  const own = new Set(net.parameters.map((p) => p.identity));
  for (const p of parameters) {
    if (!own.has(p.identity)) {
      throw new ValueError(
        `jacobian: parameter '${p.name}' is not one of the network's; expected of network.parameters.`,
      );
    }
    if (!p.frozen) continue;
    throw new ValueError(
      `jacobian: parameter '${p.name}' is frozen and has no gradient; expected one that is ` +
        'trained, or set frozen to false.',
    );
  }
  const { y, logdet } = net.forward(x, context);
  const [samples] = logdet.shape;
  logdet.dispose();
  for (const t of tensorsOf(y)) keep(t);

  const compose = (state: Vector, list: readonly Tensor[]): Vector =>
    ({ input: state, parameters: list, both: [state, list] })[moving];
  const operator = makeOperator<Vector, Vector>({
    domain: compose(
      x,
      parameters.map((p) => p.data),
    ),
    range: withLogdet ? [y, { shape: [samples!] }] : y,
    apply: (direction) =>
      tidy(() => {
        const [dx, list] = partsOf<S>(moving, direction);
        const directions = new Map(parameters.map((p, i) => [p, list[i]!]));
        const { dy, dlogdet } = net.jvp(x, { x: dx, parameters: directions }, context);
        return withLogdet ? [dy, dlogdet] : dy;
      }),
    applyAdjoint: (response) =>
      tidy(() => {
        const [dy, dlogdet] = (withLogdet ? response : [response]) as [S, Tensor | undefined];
        const { dx, gradients } = vjp(net, y, dy, { dlogdet, context });
        const list = parameters.map((p) => gradients.get(p) ?? zerosLike(p.data));
        return compose(dx, list);
      }),
  });
  return Object.assign(operator, { parameters, dispose: () => disposeVector(y) });
}

/** The direction of the input and those of the parameters. */
function partsOf<S extends State>(
  moving: With,
  direction: Vector,
): readonly [S | undefined, readonly Tensor[]] {
  if (moving === 'input') return [direction as S, []];
  if (moving === 'parameters') return [undefined, direction as readonly Tensor[]];
  return direction as readonly [S, readonly Tensor[]];
}
