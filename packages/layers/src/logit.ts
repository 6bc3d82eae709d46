/**
 * The logit of data in the unit interval, the usual first layer of a flow on images (Dinh et al.,
 * "Density estimation using Real NVP", 2017). Mathematics: docs/math/logit.md
 */
import {
  add,
  affine,
  log,
  mul,
  neg,
  reciprocal,
  sigmoid,
  sub,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { perSample, requireTangent } from './checks.ts';
import type { Parameter } from './parameter.ts';

/**
 * y = log(p/(1 − p)) with p = λ + (1 − 2λ)x, element by element, for x in [0, 1];
 * logdet = Σ log((1 − 2λ)/(p(1 − p))).
 *
 * λ keeps p away from 0 and 1. The map spreads the ends of the interval, where the pixels of an
 * image with a plain background lie close together.
 *
 * @example
 * const net = compose(new Logit(), new Glow({ channels: 1 }));
 */
export class Logit implements Bijection {
  readonly lambda: number;
  readonly parameters: readonly Parameter[] = [];

  /** @throws ValueError unless 0 < lambda < ½. */
  constructor({ lambda = 1e-4 }: { lambda?: number } = {}) {
    if (!(lambda > 0 && lambda < 0.5)) {
      throw new ValueError(`Logit: lambda ${lambda}; expected a number between 0 and 0.5.`);
    }
    this.lambda = lambda;
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    return tidy(() => {
      const { y, logdet } = this.#apply(x);
      return { y, logdet };
    });
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    return tidy(() => ({ x: this.#invert(y), logdet: neg(this.#logdet(y)) }));
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    return tidy(() => {
      const slope = this.#slope(y);
      const { dlogdet } = options;
      const inner = dlogdet ? add(dy, mul(perSample(dlogdet, y), this.#logSlopeGrad(y))) : dy;
      return { x: this.#invert(y), dx: mul(slope, inner) };
    });
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const { y } = this.#apply(x);
      const along = mul(dx, reciprocal(this.#slope(y)));
      const { dlogdet } = options;
      if (!dlogdet) return { y, dy: along };
      return { y, dy: sub(along, mul(perSample(dlogdet, y), this.#logSlopeGrad(y))) };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Logit', x, tangent, this.parameters);
    return tidy(() => {
      const { y, logdet } = this.#apply(x);
      const dy = tangent.x ? mul(this.#slope(y), tangent.x) : zerosLike(x);
      return { y, dy, logdet, dlogdet: sumPerSample(mul(this.#logSlopeGrad(y), dy)) };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('Logit', y, tangent, this.parameters);
    return tidy(() => {
      const dy = tangent.x ?? zerosLike(y);
      return {
        x: this.#invert(y),
        dx: mul(dy, reciprocal(this.#slope(y))),
        logdet: neg(this.#logdet(y)),
        dlogdet: neg(sumPerSample(mul(this.#logSlopeGrad(y), dy))),
      };
    });
  }

  #apply(x: Tensor): { y: Tensor; logdet: Tensor } {
    const logP = log(affine(x, 1 - 2 * this.lambda, this.lambda));
    const logQ = log(affine(x, 2 * this.lambda - 1, 1 - this.lambda));
    return { y: sub(logP, logQ), logdet: this.#sumOfLogSlopes(add(logP, logQ)) };
  }

  #invert(y: Tensor): Tensor {
    const width = 1 - 2 * this.lambda;
    return affine(sigmoid(y), 1 / width, -this.lambda / width);
  }

  /** Σ log f′ at y = f(x). p and 1 − p both as sigmoids: neither loses digits near its end. */
  #logdet(y: Tensor): Tensor {
    return this.#sumOfLogSlopes(log(mul(sigmoid(y), sigmoid(neg(y)))));
  }

  #sumOfLogSlopes(logPQ: Tensor): Tensor {
    const dims = logPQ.size / logPQ.shape[0]!;
    return affine(sumPerSample(logPQ), -1, dims * Math.log(1 - 2 * this.lambda));
  }

  /** f′ = (1 − 2λ)/(p(1 − p)), in terms of y. */
  #slope(y: Tensor): Tensor {
    return affine(reciprocal(mul(sigmoid(y), sigmoid(neg(y)))), 1 - 2 * this.lambda);
  }

  /** ∂ log f′/∂y = 2p − 1, in terms of y. */
  #logSlopeGrad(y: Tensor): Tensor {
    return affine(sigmoid(y), 2, -1);
  }
}
