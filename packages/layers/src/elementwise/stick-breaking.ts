/**
 * Shares of a whole, which a stick is broken into (Carpenter et al., "Stan: a probabilistic programming
 * language", 2017). Mathematics: docs/math/elementwise/constrained.md
 */
import {
  add,
  affine,
  div,
  exp,
  full,
  log,
  maximum,
  mul,
  neg,
  type Shape,
  sigmoid,
  softplus,
  sub,
  sumPerSample,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { alongChannels, perSample } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { aboveZero, nanBelow } from './above-zero.ts';
import { sumsAfter, sumsBefore, sumsFrom, sumsThrough } from './cumulative.ts';

/** What is left of the whole at least, a fourth of its last digit; and by how much a sum may be above 1 by rounding. */
const limits = {
  float32: { rest: 2 ** -25, slack: 2 ** -22 },
  float64: { rest: 2 ** -54, slack: 2 ** -51 },
} as const;

/**
 * y_c = σ(x_c − log(C + 1 − c))·(1 − y₁ − … − y_(c−1)) for c = 1 … C: numbers above zero whose sum is below 1,
 * at every position. They are the first C shares of C + 1, and 1 − Σ y is the last one: a simplex of C
 * dimensions has as many free numbers, and log-determinants are those of these. Zeros become equal shares.
 *
 * In the inverse what is left of the whole is 1 − y₁ − … − y_c, as exact as the digits of y are. Where that
 * or a share is zero, because it was rounded to it, x is finite all the same; of what are no shares, below
 * zero or with a sum above 1, it is NaN.
 *
 * @example
 * const shares = new StickBreaking({ channels: 3 });
 * const { y } = shares.forward(x); // x [N, 3, ...]; four shares, y and 1 − Σ y
 */
export class StickBreaking extends Bijection {
  static readonly type: string = 'StickBreaking';
  readonly options: { readonly channels: number };

  /** @throws ValueError unless channels ≥ 1. */
  constructor(options: { readonly channels: number }) {
    super();
    requireModuleOptions('StickBreaking', options, ['channels']);
    const { channels } = options;
    requireWhole('StickBreaking', 'channels', channels, 1);
    this.options = { channels };
  }

  protected apply(x: Tensor) {
    const u = this.#centered(x);
    return { y: exp(logShares(u)), logdet: this.#logdet(u) };
  }

  protected invert(y: Tensor) {
    const u = fromShares(y);
    return { x: this.#moved(u), logdet: neg(this.#logdet(u)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const u = fromShares(y);
    const along = throughLogShares(u, mul(dy, y));
    const dx = dlogdet ? add(along, mul(perSample(dlogdet, y), this.#bend(u))) : along;
    return { x: this.#moved(u), dx };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const u = this.#centered(x);
    const y = exp(logShares(u));
    const v = dlogdet ? sub(dx, mul(perSample(dlogdet, x), this.#bend(u))) : dx;
    // Of x_c = log y_c − log(1 − y₁ − … − y_c).
    return { y, dy: add(div(v, y), sumsFrom(mul(v, exp(sumsThrough(softplus(u)))))) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const u = this.#centered(x);
    const [y, logdet] = [exp(logShares(u)), this.#logdet(u)];
    if (!dx) return { y, logdet };
    const broken = sub(mul(sigmoid(neg(u)), dx), sumsBefore(mul(sigmoid(u), dx)));
    return { y, dy: mul(y, broken), logdet, dlogdet: sumPerSample(mul(this.#bend(u), dx)) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const u = fromShares(y);
    const [x, logdet] = [this.#moved(u), neg(this.#logdet(u))];
    if (!dy) return { x, logdet };
    const dx = add(div(dy, aboveZero(y)), div(sumsThrough(dy), restOf(y)));
    return { x, dx, logdet, dlogdet: neg(sumPerSample(mul(this.#bend(u), dx))) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('StickBreaking', x, this.options.channels);
  }

  /** u = x − log(C + 1 − c) */
  #centered(x: Tensor): Tensor {
    return sub(x, this.#perChannel(x, Math.log));
  }

  #moved(u: Tensor): Tensor {
    return add(u, this.#perChannel(u, Math.log));
  }

  /** −Σ (log(1 + e⁻ᵘ) + (C + 1 − c) log(1 + eᵘ)) */
  #logdet(u: Tensor): Tensor {
    const weighted = mul(
      softplus(u),
      this.#perChannel(u, (left) => left),
    );
    return neg(sumPerSample(add(softplus(neg(u)), weighted)));
  }

  /** ∂logdet/∂x = σ(−u) − (C + 1 − c) σ(u) */
  #bend(u: Tensor): Tensor {
    const weighted = mul(
      sigmoid(u),
      this.#perChannel(u, (left) => left),
    );
    return sub(sigmoid(neg(u)), weighted);
  }

  /** A function of C + 1 − c, how many shares there still are. */
  #perChannel(like: Tensor, of: (left: number) => number): Tensor {
    const { channels } = this.options;
    const values = Array.from({ length: channels }, (_, c) => of(channels - c));
    return alongChannels(tensor(values, [channels], like), like);
  }
}

/** log y_c = −log(1 + e⁻ᵘ) at c, less log(1 + eᵘ) of all channels before. */
function logShares(u: Tensor): Tensor {
  return neg(add(softplus(neg(u)), sumsBefore(softplus(u))));
}

/** The adjoint of the derivative of `logShares`. */
function throughLogShares(u: Tensor, d: Tensor): Tensor {
  return sub(mul(sigmoid(neg(u)), d), mul(sigmoid(u), sumsAfter(d)));
}

/** u_c = log y_c − log(1 − y₁ − … − y_c) */
function fromShares(y: Tensor): Tensor {
  return sub(log(aboveZero(y)), log(restOf(y)));
}

/** 1 − y₁ − … − y_c, kept above zero; NaN where the sum is above 1 by more than rounding. */
function restOf(y: Tensor): Tensor {
  const { rest, slack } = limits[y.dtype];
  const left = affine(sumsThrough(y), -1, 1);
  return add(maximum(left, full([], rest, y)), nanBelow(left, -slack * y.shape[1]!));
}
