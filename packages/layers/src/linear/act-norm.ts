/** Activation normalization (Kingma and Dhariwal, "Glow", 2018). Mathematics: docs/math/linear/actnorm.md */
import {
  add,
  affine,
  assign,
  fusedChannelAffine,
  mul,
  neg,
  ones,
  reciprocal,
  reluGrad,
  type Shape,
  sqrt,
  square,
  sub,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import type { BackwardOptions } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { alongChannels, channelSums, positions } from '../core/idioms.ts';
import { activeStep, type DataDependent } from '../core/training-step.ts';
import { Flag } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { ScaleAndShift } from './scale-and-shift.ts';

/** Variances below this share of the squared mean are rounding: the channel is constant. */
const leastShare = { float32: 2e-13, float64: 1e-22 } as const;

/**
 * y = s ⊙ x + b, with a scale and a shift per channel; logdet = P·Σ log|s| over P positions.
 *
 * It starts as the identity. `initialize`, or the first step of `train`, sets s and b so that the
 * result, of `forward` or `inverse` as training goes, has mean 0 and variance 1 in each channel. A
 * channel without variance is centered and keeps the scale 1. Nothing else ever sets them, and not
 * even that after numbers were assigned or trained.
 *
 * @example
 * const norm = new ActNorm({ channels: 3 });
 * await initialize(norm, x);
 * const { y, logdet } = norm.forward(x); // x [N, 3, ...], logdet [N]
 */
export class ActNorm extends ScaleAndShift implements DataDependent {
  static readonly type: string = 'ActNorm';
  readonly channels: number;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly initialized = new Flag('initialized', false);

  /** @throws ValueError unless channels ≥ 1. */
  constructor(options: { channels: number }) {
    super();
    using building = new Construction();
    requireModuleOptions('ActNorm', options, ['channels']);
    const { channels } = options;
    requireWhole('ActNorm', 'channels', channels, 1);
    const onChange = () => {
      this.initialized.value = true;
    };
    this.channels = channels;
    this.scale = new Parameter('scale', ones([channels]), { onChange });
    this.shift = new Parameter('shift', zeros([channels]), { onChange });
    building.complete();
  }

  get options() {
    return { channels: this.channels };
  }

  get awaitsData(): boolean {
    const done = this.initialized.value || this.scale.frozen || this.shift.frozen;
    return this.training && !done;
  }

  /** Back to the identity, to be initialized anew. */
  reset(): void {
    tidy(() => {
      assign(this.scale.data, ones([this.channels], this.scale.data));
      assign(this.shift.data, zeros([this.channels], this.shift.data));
    });
    this.initialized.value = false;
  }

  protected override apply(x: Tensor) {
    this.#initializeOn(x, 'forward');
    return this.map(x);
  }

  protected override invert(y: Tensor) {
    this.#initializeOn(y, 'inverse');
    return this.mapBack(y);
  }

  protected override applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions, kept?: Tensor) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
    if (!fused) return super.applyBackward(y, dy, options, kept);
    const { x, dx, dscale, dshift } = fused.backward(y, dy, options.dlogdet);
    this.scale.takeGrad(dscale);
    this.shift.takeGrad(dshift);
    return { x, dx };
  }

  protected override invertBackward(
    x: Tensor,
    dx: Tensor,
    options: BackwardOptions,
    kept?: Tensor,
  ) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
    if (!fused) return super.invertBackward(x, dx, options, kept);
    const { x: y, dx: dy, dscale, dshift } = fused.backward(x, dx, options.dlogdet);
    this.scale.takeGrad(dscale);
    this.shift.takeGrad(dshift);
    return { y, dy };
  }

  protected override map(x: Tensor) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
    return fused ? fused.apply(x) : super.map(x);
  }

  protected override mapBack(y: Tensor) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
    if (!fused) return super.mapBack(y);
    const { y: x, logdet } = fused.apply(y);
    return { x, logdet };
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
    return requireChannels('ActNorm', x, this.channels);
  }

  #initializeOn(data: Tensor, direction: 'forward' | 'inverse'): void {
    const step = activeStep();
    if (!step || !this.awaitsData) return;
    tidy(() => {
      const count = data.size / this.channels;
      const average = affine(channelSums(data), 1 / count);
      step.ranks?.average(average);
      const centered = sub(data, alongChannels(average, data));
      const variance = affine(channelSums(square(centered)), 1 / count);
      step.ranks?.average(variance);
      // 1 where the channel varies, 0 where it is constant and what is left is rounding.
      const least = affine(square(average), leastShare[data.dtype]);
      const varies = reluGrad(sub(variance, least), ones([this.channels], data));
      const deviation = sqrt(add(mul(variance, varies), affine(varies, -1, 1)));
      const scale = direction === 'forward' ? reciprocal(deviation) : deviation;
      const shift = direction === 'forward' ? neg(mul(average, scale)) : average;
      // First, so that what fails half-way is undone.
      step.noteInitialized(this);
      this.scale.assign(scale);
      this.shift.assign(shift);
    });
  }
}
