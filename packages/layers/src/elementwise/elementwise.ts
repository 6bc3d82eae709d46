/** Invertible activations as layers. Mathematics: docs/math/elementwise/elementwise.md */
import {
  affine,
  div,
  exp,
  mul,
  neg,
  sub,
  sumPerSample,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { type InvertibleActivation, requireActivation } from './activation.ts';

/**
 * y = f(x) element by element, for a monotone f; logdet = Σ log f′(x).
 *
 * `inverse` gives NaN for numbers outside the range of f. Where f flattens out, x is found as well
 * as the digits of y tell it: in float32 tanh is 1 from x = 9 on, where the inverse is infinite.
 *
 * @example
 * const squash = new Elementwise(sigmoid({ low: -1, high: 1 }));
 * const { y, logdet } = squash.forward(x); // any [N, ...]
 */
export class Elementwise extends Bijection {
  static readonly type: string = 'Elementwise';
  readonly f: InvertibleActivation;

  /** @throws ValueError for an activation without an inverse. */
  constructor(f: InvertibleActivation) {
    super();
    requireActivation('Elementwise', 'f', f);
    const inverse: readonly unknown[] = [f.invert, f.logSlope, f.logSlopeDerivative];
    if (!inverse.every((g) => typeof g === 'function')) {
      throw new ValueError(
        `Elementwise: got ${f.name}; expected an invertible activation, such as tanh().`,
      );
    }
    this.f = f;
  }

  static build({ activation }: { readonly activation: InvertibleActivation }): Elementwise {
    return new Elementwise(activation);
  }

  get options() {
    return { activation: this.f };
  }

  protected apply(x: Tensor) {
    const y = this.f.apply(x);
    return { y, logdet: sumPerSample(this.f.logSlope(x, y)) };
  }

  protected invert(y: Tensor) {
    const x = this.f.invert(y);
    return { x, logdet: neg(sumPerSample(this.f.logSlope(x, y))) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const x = kept ?? this.f.invert(y);
    const bend = dlogdet && mul(perSample(dlogdet, x), this.f.logSlopeDerivative(x, y));
    return { x, dx: sumOfTerms(x, this.f.grad(y, dy, x), bend) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const y = kept ?? this.f.apply(x);
    const bend = dlogdet && mul(perSample(dlogdet, x), this.f.logSlopeDerivative(x, y));
    return { y, dy: overSlope(this.f.logSlope(x, y), bend ? sub(dx, bend) : dx) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const y = this.f.apply(x);
    const logSlope = this.f.logSlope(x, y);
    const logdet = sumPerSample(logSlope);
    if (!dx) return { y, logdet };
    return { y, dy: timesSlope(logSlope, dx), logdet, dlogdet: this.#bendAlong(x, y, dx) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const x = this.f.invert(y);
    const logSlope = this.f.logSlope(x, y);
    const logdet = neg(sumPerSample(logSlope));
    if (!dy) return { x, logdet };
    const dx = overSlope(logSlope, dy);
    return { x, dx, logdet, dlogdet: neg(this.#bendAlong(x, y, dx)) };
  }

  /** The derivative of Σ log f′ at x along dx. */
  #bendAlong(x: Tensor, y: Tensor, dx: Tensor): Tensor {
    return sumPerSample(mul(dx, this.f.logSlopeDerivative(x, y)));
  }
}

/** v·f′(x), from log f′(x): in two halves, so that no factor leaves the range of numbers before the result. */
function timesSlope(logSlope: Tensor, v: Tensor): Tensor {
  const root = exp(affine(logSlope, 0.5));
  return mul(mul(v, root), root);
}

/** v/f′(x), likewise. */
function overSlope(logSlope: Tensor, v: Tensor): Tensor {
  const root = exp(affine(logSlope, 0.5));
  return div(div(v, root), root);
}
