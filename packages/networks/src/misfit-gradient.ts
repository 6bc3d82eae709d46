/** The gradient of a data misfit as a conditioner: what an unrolled loop learns to use. */

import {
  type Activation,
  ActNorm,
  Conditioner,
  Identity,
  requireActivation,
  requireChannels,
  requireModuleOptions,
  requireWhole,
  type Tangent,
} from '@invnet/layers';
import {
  add,
  concat,
  formatShape,
  neg,
  requireBoolean,
  requireFunction,
  requireRecord,
  requireTensor,
  type Shape,
  ShapeError,
  slice,
  sub,
  type Tensor,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';

/** A linear map A from images [N, C, …] to data of any shape [N, …], and its adjoint. */
export interface LinearForwardOperator {
  /** A u */
  forward(u: Tensor): Tensor;
  /** Aᵀ r */
  adjoint(r: Tensor): Tensor;
}

/** A non-linear map F, with products of its Jacobian J(u) = ∂F/∂u. */
export interface NonlinearForwardOperator {
  /** F(u) */
  forward(u: Tensor): Tensor;
  /** J(u) du */
  jvp(u: Tensor, du: Tensor): Tensor;
  /** J(u)ᵀ r */
  vjp(u: Tensor, r: Tensor): Tensor;
  /**
   * The derivative of u ↦ J(u)ᵀ r along du, with r held: the Hessian of ⟨F, r⟩ times du. Training
   * and Jacobians need it, evaluation does not.
   */
  hvp?(u: Tensor, r: Tensor, du: Tensor): Tensor;
}

/** What maps an image to the data that would be observed. Methods return tensors of their own. */
export type ForwardOperator = LinearForwardOperator | NonlinearForwardOperator;

/** Options of `MisfitGradient`. */
export interface MisfitGradientOptions {
  /** Channels of η. */
  readonly channels: number;
  /** Channels of the result, at least as many: those behind the gradient's are zero. */
  readonly outChannels: number;
  readonly operator: ForwardOperator;
  /** Maps η to the image that the operator takes. Default: the identity. */
  readonly link?: Activation;
  /** Normalizes the gradient by an `ActNorm`. Default: true. */
  readonly actnorm?: boolean;
}

/** What backward needs: η, its image, the normalized gradient, and the residual where J varies. */
interface SavedMisfit {
  readonly x: Tensor;
  readonly u: Tensor;
  readonly normalized: Tensor;
  readonly residual: Tensor | undefined;
}

/**
 * g(η, d) = (N(J(u)ᵀ(F(u) − d)), 0) with u = ψ(η), an `ActNorm` N and the data d as context: the
 * gradient of ½‖F(u) − d‖² with respect to u.
 *
 * F and J(u)ᵀ are evaluated once each in `forward`, and J(u) and J(u)ᵀ once each in `backward`.
 */
export class MisfitGradient extends Conditioner<SavedMisfit> {
  static readonly type: string = 'MisfitGradient';
  readonly norm: ActNorm | Identity;
  readonly #options: MisfitGradientOptions;

  /** @throws ValueError for fewer channels of the result than of η. */
  constructor(options: MisfitGradientOptions) {
    super();
    const names = ['channels', 'outChannels', 'operator', 'link', 'actnorm'];
    requireModuleOptions('MisfitGradient', options, names);
    const { channels, outChannels, operator, link, actnorm = true } = options;
    requireWhole('MisfitGradient', 'channels', channels, 1);
    // It holds the gradient in its first channels.
    requireWhole('MisfitGradient', 'outChannels', outChannels, channels);
    requireOperator(operator);
    if (link !== undefined) requireActivation('MisfitGradient', 'link', link);
    requireBoolean('MisfitGradient', 'actnorm', actnorm);
    this.#options = { ...options, actnorm };
    this.norm = actnorm ? new ActNorm({ channels }) : new Identity();
  }

  get options() {
    const { channels, outChannels, operator, link, actnorm } = this.#options;
    return { channels, outChannels, operator, link, actnorm };
  }

  override get usesContext(): boolean {
    return true;
  }

  protected apply(x: Tensor, context?: Tensor) {
    const u = this.#image(x);
    const residual = this.#residual(u, context);
    const gradient = this.#adjoint(u, residual);
    const kept = 'adjoint' in this.#options.operator ? undefined : residual;
    if (!kept) residual.dispose();
    const { y: normalized } = this.norm.forward(gradient);
    gradient.dispose();
    return { y: this.#pad(normalized), saved: { x, u, normalized, residual: kept } };
  }

  protected applyBackward(dy: Tensor, { x, u, normalized, residual }: SavedMisfit) {
    const dnormalized = slice(dy, 1, 0, this.#options.channels);
    const { dx: dgradient } = this.norm.backward(normalized, dnormalized);
    const moved = this.#jacobian(u, dgradient);
    const through = this.#adjoint(u, moved);
    const du = residual ? add(through, this.#curvature(u, residual, dgradient)) : through;
    return { dx: this.#options.link?.grad(u, du, x) ?? du, dcontext: neg(moved) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { link } = this.#options;
    const u = this.#image(x);
    const residual = this.#residual(u, context);
    const gradient = this.#adjoint(u, residual);
    const dx = tangent.x ?? zerosLike(x);
    const du = link ? link.grad(u, dx, x) : dx;
    const moved = this.#jacobian(u, du);
    const dresidual = tangent.context ? sub(moved, tangent.context) : moved;
    const through = this.#adjoint(u, dresidual);
    const dgradient =
      'adjoint' in this.#options.operator
        ? through
        : add(through, this.#curvature(u, residual, du));
    const { parameters } = tangent;
    const { y, dy } = this.norm.jvp(gradient, { x: dgradient, parameters });
    return { y: this.#pad(y), dy: this.#pad(dy) };
  }

  protected applyShape(x: Shape): Shape {
    const [n, , ...size] = requireChannels('MisfitGradient', x, this.#options.channels);
    return [n!, this.#options.outChannels, ...size];
  }

  /** ψ(η); η itself without a link. */
  #image(x: Tensor): Tensor {
    return this.#options.link?.apply(x) ?? x;
  }

  #residual(u: Tensor, data: Tensor | undefined): Tensor {
    if (!data) throw new ValueError('UnrolledLoop: expected the data as context, got none.');
    const predicted = this.#options.operator.forward(u);
    requireShape('forward', predicted, data.shape);
    const residual = sub(predicted, data);
    predicted.dispose();
    return residual;
  }

  #adjoint(u: Tensor, r: Tensor): Tensor {
    const { operator } = this.#options;
    const result = 'adjoint' in operator ? operator.adjoint(r) : operator.vjp(u, r);
    requireShape('adjoint', result, u.shape);
    return result;
  }

  #jacobian(u: Tensor, du: Tensor): Tensor {
    const { operator } = this.#options;
    return 'adjoint' in operator ? operator.forward(du) : operator.jvp(u, du);
  }

  #curvature(u: Tensor, residual: Tensor, du: Tensor): Tensor {
    const { operator } = this.#options;
    if ('hvp' in operator && operator.hvp) return operator.hvp(u, residual, du);
    throw new ValueError(
      'UnrolledLoop: the derivative of a non-linear operator’s gradient needs hvp(u, r, du), the ' +
        'derivative of J(u)ᵀr along du; expected it beside jvp and vjp.',
    );
  }

  #pad(gradient: Tensor): Tensor {
    const { channels, outChannels } = this.#options;
    const [n, , ...size] = gradient.shape;
    if (outChannels === channels) return gradient.reshape(gradient.shape);
    return concat([gradient, zeros([n!, outChannels - channels, ...size], gradient)], 1);
  }
}

/** @throws ValueError unless it has the functions of a linear or of a non-linear operator. */
function requireOperator(operator: ForwardOperator): void {
  requireRecord(
    'UnrolledLoop',
    'operator',
    operator,
    '{ forward, adjoint } or { forward, jvp, vjp }',
  );
  const names = 'adjoint' in operator ? ['forward', 'adjoint'] : ['forward', 'jvp', 'vjp'];
  for (const name of names) {
    requireFunction('UnrolledLoop', `the operator's ${name}`, Reflect.get(operator, name));
  }
}

function requireShape(method: string, result: Tensor, expected: Shape): void {
  requireTensor('UnrolledLoop', result, `what the operator's ${method} gave`);
  if (result.rank === expected.length && expected.every((s, i) => s === result.shape[i])) return;
  throw new ShapeError(
    `UnrolledLoop: the operator's ${method} returned ${formatShape(result.shape)}; expected ` +
      `${formatShape(expected)}, the shape of the ${method === 'forward' ? 'context' : 'image'}.`,
  );
}
