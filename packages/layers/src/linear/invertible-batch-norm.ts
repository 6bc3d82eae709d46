/**
 * Batch normalization as a bijection (Dinh et al., "Density estimation using Real NVP", 2017, section 3.7,
 * with the running averages of its appendix E). Mathematics: docs/math/linear/batch-norm.md
 *
 * What normalizes inside of conditioners is `BatchNorm`.
 */
import {
  add,
  affine,
  assign,
  div,
  log,
  mul,
  ones,
  requireAtLeast,
  requireBetween,
  type Shape,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import type { BackwardOptions } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { alongChannels, channelSums, positions } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { activeStep, type DataDependent, type TrainingStep } from '../core/training-step.ts';
import { Flag, TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { ScaleAndShift } from './scale-and-shift.ts';

/** Options of `InvertibleBatchNorm`. */
export interface InvertibleBatchNormOptions {
  readonly channels: number;
  /** Weight of a batch in the running statistics. Default: 0.1. */
  readonly momentum?: number;
  /** Added to variances. Default: 1e-5. */
  readonly epsilon?: number;
}

/**
 * y = s ⊙ (x − μ)/√(v + ε) + b per channel; logdet = P·Σ (log|s| − ½ log(v + ε)) over P positions.
 *
 * μ and v are running statistics of what `forward` is given: the first batch of training sets them, and from
 * then on each training step moves them, once, when it is committed. In training as in evaluation they are
 * numbers like any others, so the map is one and the same within a step, samples do not depend on each
 * other, and its input is recomputed from its output. Normalizing by the batch itself would be none of this.
 * In evaluation, `training = false`, they stay, and what is trained through `inverse` leaves them at 0 and 1.
 *
 * @example
 * const norm = new InvertibleBatchNorm({ channels: 3, momentum: 0.05 });
 * await initialize(norm, x);
 * const { y, logdet } = norm.forward(x); // x [N, 3, ...], logdet [N]
 */
export class InvertibleBatchNorm extends ScaleAndShift implements DataDependent {
  static readonly type: string = 'InvertibleBatchNorm';
  readonly options: Readonly<Required<InvertibleBatchNormOptions> & Record<string, unknown>>;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly runningMean: TensorBuffer;
  readonly runningVariance: TensorBuffer;
  readonly initialized = new Flag('initialized', false);

  /** @throws ValueError unless channels ≥ 1, momentum is in [0, 1] and epsilon above 0. */
  constructor(options: InvertibleBatchNormOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('InvertibleBatchNorm', options, ['channels', 'momentum', 'epsilon']);
    const { channels, momentum = 0.1, epsilon = 1e-5 } = options;
    requireWhole('InvertibleBatchNorm', 'channels', channels, 1);
    requireAtLeast('InvertibleBatchNorm', 'momentum', momentum, 0);
    requireAtLeast('InvertibleBatchNorm', '1 − momentum', 1 - momentum, 0);
    requireBetween('InvertibleBatchNorm', 'epsilon', epsilon, 0);
    this.options = { channels, momentum, epsilon };
    this.scale = new Parameter('scale', ones([channels]));
    this.shift = new Parameter('shift', zeros([channels]));
    this.runningMean = new TensorBuffer('runningMean', zeros([channels]));
    this.runningVariance = new TensorBuffer('runningVariance', ones([channels]));
    building.complete();
  }

  get awaitsData(): boolean {
    const done = this.initialized.value || this.scale.frozen || this.shift.frozen;
    return this.training && !done;
  }

  /** Back to a mean of 0 and a variance of 1, to be set anew. */
  reset(): void {
    tidy(() => {
      const { data } = this.runningMean;
      assign(data, zeros(data.shape, data));
      assign(this.runningVariance.data, ones(data.shape, data));
    });
    this.initialized.value = false;
  }

  protected override apply(x: Tensor) {
    const step = activeStep();
    if (step && this.training) this.#meet(x, step);
    const { y, logdet } = super.apply(this.#normalized(x));
    return { y, logdet: sub(logdet, this.#logDeviations(x)) };
  }

  protected override invert(y: Tensor) {
    const step = activeStep();
    if (step && this.awaitsData) {
      step.noteInitialized(this);
      this.initialized.value = true;
    }
    const { x, logdet } = super.invert(y);
    return { x: this.#spread(x), logdet: add(logdet, this.#logDeviations(y)) };
  }

  protected override applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions) {
    const { x, dx } = super.applyBackward(y, dy, options);
    return { x: this.#spread(x), dx: div(dx, this.#deviation(dx)) };
  }

  protected override invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions) {
    return super.invertBackward(this.#normalized(x), mul(dx, this.#deviation(dx)), options);
  }

  protected override applyTangent(x: Tensor, tangent: Tangent) {
    const dx = tangent.x && div(tangent.x, this.#deviation(x));
    const result = super.applyTangent(this.#normalized(x), { ...tangent, x: dx });
    return { ...result, logdet: sub(result.logdet, this.#logDeviations(x)) };
  }

  protected override invertTangent(y: Tensor, tangent: Tangent) {
    const { x, dx, logdet, dlogdet } = super.invertTangent(y, tangent);
    return {
      x: this.#spread(x),
      dx: mul(dx, this.#deviation(y)),
      logdet: add(logdet, this.#logDeviations(y)),
      dlogdet,
    };
  }

  protected over(v: Tensor, x: Tensor): Tensor {
    return alongChannels(v, x);
  }

  protected gather(x: Tensor): Tensor {
    return channelSums(x);
  }

  protected reach(x: Tensor): number {
    return positions(x);
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('InvertibleBatchNorm', x, this.options.channels);
  }

  /** (x − μ)/√(v + ε) */
  #normalized(x: Tensor): Tensor {
    return div(sub(x, alongChannels(this.runningMean.data, x)), this.#deviation(x));
  }

  /** √(v + ε) n + μ */
  #spread(n: Tensor): Tensor {
    return add(mul(n, this.#deviation(n)), alongChannels(this.runningMean.data, n));
  }

  #deviation(x: Tensor): Tensor {
    const { epsilon } = this.options;
    return alongChannels(sqrt(affine(this.runningVariance.data, 1, epsilon)), x);
  }

  /** P·Σ ½ log(v + ε) */
  #logDeviations(x: Tensor): Tensor {
    const logs = log(affine(this.runningVariance.data, 1, this.options.epsilon));
    return affine(sum(logs), positions(x) / 2);
  }

  /** Sets the statistics on the first batch, and tells the step those of each. */
  #meet(x: Tensor, step: TrainingStep): void {
    tidy(() => {
      const { channels, momentum } = this.options;
      const average = (t: Tensor) => {
        const result = affine(channelSums(t), channels / t.size);
        step.ranks?.average(result);
        return result;
      };
      const mean = average(x);
      const biased = average(square(sub(x, alongChannels(mean, x))));
      const count = (x.size / channels) * (step.ranks?.size ?? 1);
      // A single number has no unbiased variance.
      const variance = affine(biased, count / Math.max(count - 1, 1));
      if (this.awaitsData) {
        // First, so that what fails half-way is undone.
        step.noteInitialized(this);
        this.runningMean.assign(mean);
        if (count > 1) this.runningVariance.assign(variance);
        this.initialized.value = true;
      }
      step.gather(this.runningMean, mean, momentum);
      if (count > 1) step.gather(this.runningVariance, variance, momentum);
    });
  }
}
