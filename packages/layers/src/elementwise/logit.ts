/**
 * The logit of data in the unit interval, the usual first layer of a flow on images (Dinh et al.,
 * "Density estimation using Real NVP", 2017). Mathematics: docs/math/elementwise/logit.md
 */
import {
  add,
  affine,
  div,
  log,
  mul,
  neg,
  requireBetween,
  sigmoid,
  sub,
  sumPerSample,
  type Tensor,
  tanh,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { perSample } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { logLogisticSlope, rootLogisticSlope } from './logistic-slope.ts';

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
  constructor(options: { readonly lambda?: number } = {}) {
    super();
    requireModuleOptions('Logit', options, ['lambda']);
    const { lambda = 1e-4 } = options;
    requireBetween('Logit', 'lambda', lambda, 0, 0.5);
    this.lambda = lambda;
  }

  get options() {
    return { lambda: this.lambda };
  }

  protected apply(x: Tensor) {
    const width = 1 - 2 * this.lambda;
    const logP = log(affine(x, width, this.lambda));
    // From 1 − x, which is exact where x is near 1 and all digits are needed.
    const logQ = log(affine(affine(x, -1, 1), width, this.lambda));
    return { y: sub(logP, logQ), logdet: neg(this.#sumOfLogs(add(logP, logQ))) };
  }

  protected invert(y: Tensor) {
    return { x: this.#unitOf(y), logdet: this.#sumOfLogs(logLogisticSlope(y)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const inner = dlogdet ? add(dy, mul(perSample(dlogdet, y), bend(y))) : dy;
    return { x: kept ?? this.#unitOf(y), dx: this.#timesSlope(y, inner) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const y = kept ?? this.apply(x).y;
    const along = this.#overSlope(y, dx);
    return { y, dy: dlogdet ? sub(along, mul(perSample(dlogdet, y), bend(y))) : along };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { y, logdet } = this.apply(x);
    if (!dx) return { y, logdet };
    const dy = this.#timesSlope(y, dx);
    return { y, dy, logdet, dlogdet: sumPerSample(mul(bend(y), dy)) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const { x, logdet } = this.invert(y);
    if (!dy) return { x, logdet };
    return {
      x,
      dx: this.#overSlope(y, dy),
      logdet,
      dlogdet: neg(sumPerSample(mul(bend(y), dy))),
    };
  }

  /** f⁻¹(y) */
  #unitOf(y: Tensor): Tensor {
    const width = 1 - 2 * this.lambda;
    return affine(sigmoid(y), 1 / width, -this.lambda / width);
  }

  /** −Σ log f′ from log p(1 − p), number by number. */
  #sumOfLogs(logPQ: Tensor): Tensor {
    const dims = logPQ.size / logPQ.shape[0]!;
    return affine(sumPerSample(logPQ), 1, -dims * Math.log(1 - 2 * this.lambda));
  }

  /** v·f′ = v·(1 − 2λ)/σ′(y) */
  #timesSlope(y: Tensor, v: Tensor): Tensor {
    const root = rootLogisticSlope(y);
    return div(div(affine(v, 1 - 2 * this.lambda), root), root);
  }

  /** v/f′ */
  #overSlope(y: Tensor, v: Tensor): Tensor {
    const root = rootLogisticSlope(y);
    return mul(mul(affine(v, 1 / (1 - 2 * this.lambda)), root), root);
  }
}

/** ∂ log f′/∂y = 2p − 1, in terms of y. */
function bend(y: Tensor): Tensor {
  return tanh(affine(y, 0.5));
}
