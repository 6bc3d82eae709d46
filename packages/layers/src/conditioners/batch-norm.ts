/**
 * Batch normalization (Ioffe and Szegedy, 2015) inside conditioners.
 * Mathematics: docs/math/conditioners/res-net.md
 *
 * As an invertible layer it would couple samples; there `ActNorm` stands in its place, or
 * `InvertibleBatchNorm`, which goes by running statistics alone.
 */
import {
  add,
  affine,
  div,
  fusedChannelAffine,
  mul,
  ones,
  requireAtLeast,
  type Shape,
  sqrt,
  square,
  sub,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { activeStep } from '../core/training-step.ts';
import { TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `BatchNorm`. */
export interface BatchNormOptions {
  readonly channels: number;
  /** Weight of a batch in the running statistics. Default: 0.1. */
  readonly momentum?: number;
  /** Added to variances. Default: 1e-5. */
  readonly epsilon?: number;
}

/** The normalized input, the deviation per channel, and whether they are due to the batch. */
interface SavedBatchNorm {
  readonly normalized: Tensor;
  readonly deviation: Tensor;
  readonly training: boolean;
}

/** Mean and variance per channel. */
interface Statistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/**
 * y = s ⊙ (x − μ)/√(v + ε) + b per channel. In training mode μ and v are the batch's mean and
 * variance, and derivatives go through them; in evaluation mode they are the running ones.
 *
 * The running statistics are buffers, so that files hold them. Within a `TrainingStep` each evaluation
 * in training mode reports the mean and the unbiased variance of its batch, and `commit` moves the
 * statistics, once per step however often a coupling evaluates its conditioner. Nothing else moves
 * them: neither `backward` nor `jvp`, nor an evaluation outside of a step.
 *
 * @example
 * const norm = new BatchNorm({ channels: 8 });
 * norm.training = false; // evaluation mode
 */
export class BatchNorm extends Conditioner<SavedBatchNorm> {
  static readonly type: string = 'BatchNorm';
  readonly options: Required<BatchNormOptions>;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly runningMean: TensorBuffer;
  readonly runningVariance: TensorBuffer;

  /** @throws ValueError unless channels ≥ 1, momentum is in [0, 1] and epsilon is not negative. */
  constructor(options: BatchNormOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('BatchNorm', options, ['channels', 'momentum', 'epsilon']);
    const { channels, momentum = 0.1, epsilon = 1e-5 } = options;
    requireWhole('BatchNorm', 'channels', channels, 1);
    requireAtLeast('BatchNorm', 'momentum', momentum, 0);
    requireAtLeast('BatchNorm', '1 − momentum', 1 - momentum, 0);
    requireAtLeast('BatchNorm', 'epsilon', epsilon, 0);
    this.options = { channels, momentum, epsilon };
    this.scale = new Parameter('scale', ones([channels]));
    this.shift = new Parameter('shift', zeros([channels]));
    this.runningMean = new TensorBuffer('runningMean', zeros([channels]));
    this.runningVariance = new TensorBuffer('runningVariance', ones([channels]));
    building.complete();
  }

  protected apply(x: Tensor) {
    const { training } = this;
    const statistics = this.#statistics(x);
    if (training) this.#report(x, statistics);
    const kept = this.#normalize(x, statistics);
    return { y: this.#scaleAndShift(kept.normalized), saved: { ...kept, training } };
  }

  protected applyBackward(dy: Tensor, { normalized, deviation, training }: SavedBatchNorm) {
    const [sum, along] = [channelSums(dy), channelSums(mul(dy, normalized))];
    if (!this.scale.frozen) this.scale.accumulateGrad(along);
    if (!this.shift.frozen) this.shift.accumulateGrad(sum);
    const moved = training ? this.#without(dy, normalized, { sum, along }) : dy;
    return { dx: mul(moved, alongChannels(div(this.scale.data, deviation), dy)) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { normalized, deviation } = this.#normalize(x, this.#statistics(x));
    const dx = tangent.x && (this.training ? this.#project(tangent.x, normalized) : tangent.x);
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
  }

  protected applyShape(x: Shape): Shape {
    return requireChannels('BatchNorm', x, this.options.channels);
  }

  /** Takes out what moves the mean and the deviation: v − mean(v) − n̂·mean(n̂ ⊙ v), symmetric in v. */
  #project(v: Tensor, normalized: Tensor): Tensor {
    const along = channelSums(mul(normalized, v));
    return this.#without(v, normalized, { sum: channelSums(v), along });
  }

  /** The same by the sums of v and of n̂ ⊙ v. */
  #without(v: Tensor, normalized: Tensor, sums: { readonly sum: Tensor; readonly along: Tensor }) {
    const [along, average] = [this.#mean(sums.along, v), this.#mean(sums.sum, v)];
    return sub(v, channelAffine(normalized, along, average, 'forward'));
  }

  #normalize(x: Tensor, { mean, variance }: Statistics) {
    const deviation = sqrt(affine(variance, 1, this.options.epsilon));
    return { normalized: channelAffine(x, deviation, mean, 'inverse'), deviation };
  }

  /** Of the batch in training mode, the running ones in evaluation mode. */
  #statistics(x: Tensor): Statistics {
    if (!this.training) {
      return { mean: this.runningMean.data, variance: this.runningVariance.data };
    }
    return tidy(() => {
      const mean = this.#average(x);
      return { mean, variance: this.#average(square(sub(x, alongChannels(mean, x)))) };
    });
  }

  /** Tells the training step, if there is one; a single number has no unbiased variance. */
  #report(x: Tensor, { mean, variance }: Statistics): void {
    const step = activeStep();
    const { momentum, channels } = this.options;
    const count = (x.size / channels) * (step?.ranks?.size ?? 1);
    step?.gather(this.runningMean, mean, momentum);
    if (count === 1) return;
    step?.gather(this.runningVariance, affine(variance, count / (count - 1)), momentum);
  }

  /** Over the batch, which in a step of several processes is all of theirs. */
  #average(x: Tensor): Tensor {
    return this.#mean(channelSums(x), x);
  }

  #mean(sums: Tensor, of: Tensor): Tensor {
    const average = affine(sums, this.options.channels / of.size);
    activeStep()?.ranks?.average(average);
    return average;
  }

  #scaleAndShift(normalized: Tensor): Tensor {
    return channelAffine(normalized, this.scale.data, this.shift.data, 'forward');
  }
}

/** s ⊙ x + b per channel, or its inverse (x − b)/s, in one pass where the backend has it. */
function channelAffine(
  x: Tensor,
  scale: Tensor,
  shift: Tensor,
  direction: 'forward' | 'inverse',
): Tensor {
  const fused = fusedChannelAffine(scale, shift, direction);
  if (fused) {
    const { y, logdet } = fused.apply(x);
    logdet.dispose();
    return y;
  }
  const [s, b] = [alongChannels(scale, x), alongChannels(shift, x)];
  return direction === 'forward' ? add(mul(x, s), b) : div(sub(x, b), s);
}
