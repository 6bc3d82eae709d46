/** Invertible activations as layers. Mathematics: docs/math/elementwise.md */
import {
  div,
  exp,
  mul,
  neg,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';
import type { InvertibleActivation } from './activations.ts';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { perSample, requireTangent, sumOfTerms } from './checks.ts';
import type { Parameter } from './parameter.ts';

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
export class Elementwise implements Bijection {
  readonly f: InvertibleActivation;
  readonly parameters: readonly Parameter[] = [];

  constructor(f: InvertibleActivation) {
    this.f = f;
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    return tidy(() => {
      const y = this.f.apply(x);
      return { y, logdet: sumPerSample(this.f.logSlope(x, y)) };
    });
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    return tidy(() => {
      const x = this.f.invert(y);
      return { x, logdet: neg(sumPerSample(this.f.logSlope(x, y))) };
    });
  }

  backward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    return tidy(() => {
      const x = this.f.invert(y);
      const bend = dlogdet && mul(perSample(dlogdet, x), this.f.logSlopeDerivative(x, y));
      return { x, dx: sumOfTerms(x, this.f.grad(y, dy), bend) };
    });
  }

  backwardInverse(
    x: Tensor,
    dx: Tensor,
    { dlogdet }: BackwardOptions = {},
  ): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const y = this.f.apply(x);
      const bend = dlogdet && mul(perSample(dlogdet, x), this.f.logSlopeDerivative(x, y));
      return { y, dy: this.#overSlope(x, y, bend ? sub(dx, bend) : dx) };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Elementwise', x, tangent, this.parameters);
    return tidy(() => {
      const y = this.f.apply(x);
      const dx = tangent.x ?? zerosLike(x);
      return {
        y,
        dy: this.f.grad(y, dx),
        logdet: sumPerSample(this.f.logSlope(x, y)),
        dlogdet: sumPerSample(mul(dx, this.f.logSlopeDerivative(x, y))),
      };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Elementwise', y, tangent, this.parameters);
    return tidy(() => {
      const x = this.f.invert(y);
      const dx = this.#overSlope(x, y, tangent.x ?? zerosLike(y));
      return {
        x,
        dx,
        logdet: neg(sumPerSample(this.f.logSlope(x, y))),
        dlogdet: neg(sumPerSample(mul(dx, this.f.logSlopeDerivative(x, y)))),
      };
    });
  }

  /** v/f′(x) */
  #overSlope(x: Tensor, y: Tensor, v: Tensor): Tensor {
    return div(v, exp(this.f.logSlope(x, y)));
  }
}
