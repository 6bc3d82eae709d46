/**
 * Batch normalization (Ioffe and Szegedy, 2015) inside conditioners. Mathematics: docs/math/res-net.md
 *
 * As an invertible layer it would couple samples; there `ActNorm` stands in its place.
 */
import {
  add,
  affine,
  div,
  mul,
  ones,
  sqrt,
  square,
  sub,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import { alongChannels, channelSums, requireChannels, requireWhole, sumOfTerms } from './checks.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import { Parameter } from './parameter.ts';

/** Options of `BatchNorm`. */
export interface BatchNormOptions {
  readonly channels: number;
  /** Weight of a batch in the running statistics. Default: 0.1. */
  readonly momentum?: number;
  /** Added to variances. Default: 1e-5. */
  readonly epsilon?: number;
}

/** The normalized input and the deviation per channel; in training also the batch's statistics. */
interface SavedBatchNorm extends Saved {
  readonly normalized: Tensor;
  readonly deviation: Tensor;
  readonly batch: { readonly mean: Tensor; readonly variance: Tensor } | undefined;
}

/**
 * y = s ⊙ (x − μ)/√(v + ε) + b per channel. In training mode μ and v are the batch's mean and
 * variance, and derivatives go through them; in evaluation mode they are the running ones.
 *
 * The running statistics are frozen parameters, so that files hold them. `backward` updates them,
 * once per training step, and `forward` never does: a coupling evaluates its conditioner in every
 * pass, and evaluating must change nothing.
 *
 * @example
 * const norm = new BatchNorm({ channels: 8 });
 * norm.training = false; // evaluation mode
 */
export class BatchNorm implements Conditioner<SavedBatchNorm> {
  /** Training mode, or evaluation mode. */
  training = true;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly runningMean: Parameter;
  readonly runningVariance: Parameter;
  readonly parameters: readonly Parameter[];
  readonly #channels: number;
  readonly #momentum: number;
  readonly #epsilon: number;

  /** @throws ValueError unless channels ≥ 1. */
  constructor({ channels, momentum = 0.1, epsilon = 1e-5 }: BatchNormOptions) {
    requireWhole('BatchNorm', 'channels', channels, 1);
    const frozen = { frozen: true };
    this.scale = new Parameter('scale', ones([channels]));
    this.shift = new Parameter('shift', zeros([channels]));
    this.runningMean = new Parameter('runningMean', zeros([channels]), frozen);
    this.runningVariance = new Parameter('runningVariance', ones([channels]), frozen);
    this.parameters = [this.scale, this.shift, this.runningMean, this.runningVariance];
    this.#channels = channels;
    this.#momentum = momentum;
    this.#epsilon = epsilon;
  }

  forward(x: Tensor): { y: Tensor; saved: SavedBatchNorm } {
    requireChannels('BatchNorm', x, this.#channels);
    const kept = tidy(() => this.#normalize(x));
    const y = tidy(() => this.#scaleAndShift(kept.normalized));
    const dispose = () => {
      for (const t of [kept.normalized, kept.deviation, kept.mean, kept.variance]) t?.dispose();
    };
    const { normalized, deviation, mean, variance } = kept;
    const batch = mean && variance && { mean, variance };
    return { y, saved: { normalized, deviation, batch, dispose } };
  }

  backward(dy: Tensor, saved: SavedBatchNorm): { dx: Tensor } {
    const { normalized, deviation, batch } = saved;
    return tidy(() => {
      if (!this.scale.frozen) this.scale.takeGrad(channelSums(mul(dy, normalized)));
      if (!this.shift.frozen) this.shift.takeGrad(channelSums(dy));
      const dn = mul(dy, alongChannels(this.scale.data, dy));
      if (!batch) return { dx: div(dn, alongChannels(deviation, dy)) };
      this.#updateRunning(this.runningMean, batch.mean);
      this.#updateRunning(this.runningVariance, batch.variance);
      return { dx: div(this.#project(dn, normalized), alongChannels(deviation, dy)) };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor } {
    requireChannels('BatchNorm', x, this.#channels);
    return tidy(() => {
      const { normalized, deviation, mean } = this.#normalize(x);
      const dx = tangent.x && (mean ? this.#project(tangent.x, normalized) : tangent.x);
      const dn = dx && div(dx, alongChannels(deviation, x));
      const ds = tangent.parameters?.get(this.scale);
      const db = tangent.parameters?.get(this.shift);
      const dy = sumOfTerms(
        x,
        dn && mul(dn, alongChannels(this.scale.data, x)),
        ds && mul(normalized, alongChannels(ds, x)),
        db && add(zerosLike(x), alongChannels(db, x)),
      );
      return { y: this.#scaleAndShift(normalized), dy };
    });
  }

  /** Takes out what moves the mean and the deviation: v − mean(v) − n̂·mean(n̂ ⊙ v), symmetric in v. */
  #project(v: Tensor, normalized: Tensor): Tensor {
    const average = alongChannels(this.#average(v), v);
    const along = alongChannels(this.#average(mul(normalized, v)), v);
    return sub(sub(v, average), mul(normalized, along));
  }

  #normalize(x: Tensor) {
    const batch = this.training ? this.#statistics(x) : undefined;
    const mean = batch?.mean ?? this.runningMean.data;
    const variance = batch?.variance ?? this.runningVariance.data;
    const deviation = sqrt(affine(variance, 1, this.#epsilon));
    const centered = sub(x, alongChannels(mean, x));
    const normalized = div(centered, alongChannels(deviation, x));
    return { normalized, deviation, mean: batch?.mean, variance: batch?.variance };
  }

  #statistics(x: Tensor): { mean: Tensor; variance: Tensor } {
    const mean = this.#average(x);
    return { mean, variance: this.#average(square(sub(x, alongChannels(mean, x)))) };
  }

  #average(x: Tensor): Tensor {
    return affine(channelSums(x), this.#channels / x.size);
  }

  #scaleAndShift(normalized: Tensor): Tensor {
    const scaled = mul(normalized, alongChannels(this.scale.data, normalized));
    return add(scaled, alongChannels(this.shift.data, normalized));
  }

  #updateRunning(running: Parameter, batch: Tensor): void {
    const m = this.#momentum;
    running.assign(add(affine(running.data, 1 - m), affine(batch, m)));
  }
}
