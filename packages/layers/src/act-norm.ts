/** Activation normalization (Kingma and Dhariwal, "Glow", 2018). Mathematics: docs/math/actnorm.md */
import {
  abs,
  add,
  affine,
  div,
  full,
  fusedChannelAffine,
  log,
  maximum,
  mul,
  neg,
  ones,
  reciprocal,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import {
  alongChannels,
  channelSums,
  positions,
  requireChannels,
  requireTangent,
  requireWhole,
  sumOfTerms,
} from './checks.ts';
import { Parameter } from './parameter.ts';

/** Variances below this are taken for it, so that a constant channel gets a finite scale. */
const leastVariance = 1e-8;

/**
 * y = s ⊙ x + b, with a scale and a shift per channel; logdet = P·Σ log|s| over P positions.
 *
 * The first call that meets data, forward or inverse, sets s and b so that its result has mean 0
 * and variance 1 in each channel — unless parameters were assigned before (a loaded checkpoint).
 *
 * @example
 * const norm = new ActNorm({ channels: 3 });
 * const { y, logdet } = norm.forward(x); // x [N, 3, ...], logdet [N]
 */
export class ActNorm implements Bijection {
  readonly channels: number;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly parameters: readonly Parameter[];

  /** @throws ValueError unless channels ≥ 1. */
  constructor(options: { channels: number }) {
    requireWhole('ActNorm', 'channels', options.channels, 1);
    this.channels = options.channels;
    this.scale = new Parameter('scale', ones([options.channels]));
    this.shift = new Parameter('shift', zeros([options.channels]));
    this.parameters = [this.scale, this.shift];
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    requireChannels('ActNorm', x, this.channels);
    if (!this.scale.assigned) this.#initialize(x, 'forward');
    return tidy(() => {
      const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
      return fused ? fused.apply(x) : { y: this.#apply(x), logdet: this.#logdet(x) };
    });
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    requireChannels('ActNorm', y, this.channels);
    if (!this.scale.assigned) this.#initialize(y, 'inverse');
    return tidy(() => {
      const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
      if (!fused) return { x: this.#invert(y), logdet: neg(this.#logdet(y)) };
      const { y: x, logdet } = fused.apply(y);
      return { x, logdet };
    });
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    return tidy(() => {
      const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
      if (fused) {
        const { x, dx, dscale, dshift } = fused.backward(y, dy, options.dlogdet);
        this.scale.takeGrad(dscale);
        this.shift.takeGrad(dshift);
        return { x, dx };
      }
      this.#accumulateLogdetGrad(y, options.dlogdet, 1);
      const x = this.#invert(y);
      const dx = mul(dy, alongChannels(this.scale.data, y));
      this.scale.takeGrad(channelSums(mul(dy, x)));
      this.shift.takeGrad(channelSums(dy));
      return { x, dx };
    });
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
      if (fused) {
        const { x: y, dx: dy, dscale, dshift } = fused.backward(x, dx, options.dlogdet);
        this.scale.takeGrad(dscale);
        this.shift.takeGrad(dshift);
        return { y, dy };
      }
      this.#accumulateLogdetGrad(x, options.dlogdet, -1);
      const dy = div(dx, alongChannels(this.scale.data, x));
      this.scale.accumulateGrad(channelSums(mul(dy, x)), -1);
      this.shift.accumulateGrad(channelSums(dy), -1);
      return { y: this.#apply(x), dy };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('ActNorm', x, tangent, this.parameters);
    const { y, logdet } = this.forward(x);
    return tidy(() => {
      const { ds, db } = this.#directions(tangent);
      const dy = sumOfTerms(
        x,
        tangent.x && mul(tangent.x, alongChannels(this.scale.data, x)),
        ds && mul(x, alongChannels(ds, x)),
        db && add(zerosLike(x), alongChannels(db, x)),
      );
      return { y, dy, logdet, dlogdet: this.#logdetTangent(x, ds, 1) };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('ActNorm', y, tangent, this.parameters);
    const { x, logdet } = this.inverse(y);
    return tidy(() => {
      const { ds, db } = this.#directions(tangent);
      const moved = sumOfTerms(
        y,
        tangent.x,
        ds && neg(mul(x, alongChannels(ds, x))),
        db && sub(zerosLike(y), alongChannels(db, y)),
      );
      const dx = div(moved, alongChannels(this.scale.data, y));
      return { x, dx, logdet, dlogdet: this.#logdetTangent(y, ds, -1) };
    });
  }

  #apply(x: Tensor): Tensor {
    return add(mul(x, alongChannels(this.scale.data, x)), alongChannels(this.shift.data, x));
  }

  #invert(y: Tensor): Tensor {
    return div(sub(y, alongChannels(this.shift.data, y)), alongChannels(this.scale.data, y));
  }

  #logdet(x: Tensor): Tensor {
    const perSample = affine(sum(log(abs(this.scale.data))), positions(x));
    return add(zeros([x.shape[0]!], x), perSample);
  }

  #directions(tangent: Tangent): { ds: Tensor | undefined; db: Tensor | undefined } {
    return {
      ds: tangent.parameters?.get(this.scale),
      db: tangent.parameters?.get(this.shift),
    };
  }

  #logdetTangent(x: Tensor, ds: Tensor | undefined, sign: 1 | -1): Tensor {
    const none = zeros([x.shape[0]!], x);
    if (!ds) return none;
    return add(none, affine(sum(div(ds, this.scale.data)), sign * positions(x)));
  }

  #accumulateLogdetGrad(x: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    if (!dlogdet) return;
    const gradient = mul(reciprocal(this.scale.data), sum(dlogdet));
    this.scale.accumulateGrad(gradient, sign * positions(x));
  }

  #initialize(data: Tensor, direction: 'forward' | 'inverse'): void {
    tidy(() => {
      const count = data.size / this.channels;
      const average = affine(channelSums(data), 1 / count);
      const centered = sub(data, alongChannels(average, data));
      const variance = affine(channelSums(square(centered)), 1 / count);
      const deviation = sqrt(maximum(variance, full([1], leastVariance, data)));
      if (direction === 'forward') {
        const scale = reciprocal(deviation);
        this.scale.assign(scale);
        this.shift.assign(neg(mul(average, scale)));
      } else {
        this.scale.assign(deviation);
        this.shift.assign(average);
      }
    });
  }
}
