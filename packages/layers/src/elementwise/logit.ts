/**
 * The logit of data in the unit interval, the usual first layer of a flow on images (Dinh et al.,
 * "Density estimation using Real NVP", 2017). Mathematics: docs/math/elementwise/logit.md
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
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireBetween } from '../core/checks.ts';
import { perSample } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';

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
export class Logit extends Bijection {
  static readonly type: string = 'Logit';
  readonly lambda: number;

  /** @throws ValueError unless 0 < lambda < ½. */
  constructor({ lambda = 1e-4 }: { readonly lambda?: number } = {}) {
    super();
    requireBetween('Logit', 'lambda', lambda, 0, 0.5);
    this.lambda = lambda;
  }

  get options() {
    return { lambda: this.lambda };
  }

  protected apply(x: Tensor) {
    const logP = log(affine(x, 1 - 2 * this.lambda, this.lambda));
    const logQ = log(affine(x, 2 * this.lambda - 1, 1 - this.lambda));
    return { y: sub(logP, logQ), logdet: this.#sumOfLogSlopes(add(logP, logQ)) };
  }

  protected invert(y: Tensor) {
    return { x: this.#unitOf(y), logdet: neg(this.#logdet(y)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const slope = this.#slope(y);
    const inner = dlogdet ? add(dy, mul(perSample(dlogdet, y), this.#logSlopeGrad(y))) : dy;
    return { x: this.#unitOf(y), dx: mul(slope, inner) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const { y } = this.apply(x);
    const along = mul(dx, reciprocal(this.#slope(y)));
    if (!dlogdet) return { y, dy: along };
    return { y, dy: sub(along, mul(perSample(dlogdet, y), this.#logSlopeGrad(y))) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { y, logdet } = this.apply(x);
    if (!dx) return { y, logdet };
    const dy = mul(this.#slope(y), dx);
    return { y, dy, logdet, dlogdet: sumPerSample(mul(this.#logSlopeGrad(y), dy)) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const { x, logdet } = this.invert(y);
    if (!dy) return { x, logdet };
    const dx = mul(dy, reciprocal(this.#slope(y)));
    return { x, dx, logdet, dlogdet: neg(sumPerSample(mul(this.#logSlopeGrad(y), dy))) };
  }

  /** f⁻¹(y) */
  #unitOf(y: Tensor): Tensor {
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
