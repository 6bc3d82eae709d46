/** Activation normalization (Kingma and Dhariwal, "Glow", 2018). Mathematics: docs/math/linear/actnorm.md */
import {
  abs,
  add,
  affine,
  assign,
  div,
  fusedChannelAffine,
  log,
  mul,
  neg,
  ones,
  reciprocal,
  reluGrad,
  type Shape,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { Flag } from '../core/buffer.ts';
import { requireChannels, requireWhole } from '../core/checks.ts';
import { alongChannels, channelSums, positions, sumOfTerms } from '../core/idioms.ts';
import { Parameter } from '../core/parameter.ts';
import type { Tangent } from '../core/tangent.ts';
import { activeStep, type DataDependent } from '../core/training-step.ts';

/** Variances below this share of the squared mean are rounding: the channel is constant. */
const leastShare = 1e-12;

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
export class ActNorm extends Bijection implements DataDependent {
  static readonly type: string = 'ActNorm';
  readonly channels: number;
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly initialized = new Flag('initialized', false);

  /** @throws ValueError unless channels ≥ 1. */
  constructor({ channels }: { channels: number }) {
    super();
    requireWhole('ActNorm', 'channels', channels, 1);
    const onChange = () => {
      this.initialized.value = true;
    };
    this.channels = channels;
    this.scale = new Parameter('scale', ones([channels]), { onChange });
    this.shift = new Parameter('shift', zeros([channels]), { onChange });
  }

  get options() {
    return { channels: this.channels };
  }

  get awaitsData(): boolean {
    return !(this.initialized.value || this.scale.frozen || this.shift.frozen);
  }

  /** Back to the identity, to be initialized anew. */
  reset(): void {
    tidy(() => {
      assign(this.scale.data, ones([this.channels], this.scale.data));
      assign(this.shift.data, zeros([this.channels], this.shift.data));
    });
    this.initialized.value = false;
  }

  protected apply(x: Tensor) {
    this.#initializeOn(x, 'forward');
    return this.#map(x);
  }

  protected invert(y: Tensor) {
    this.#initializeOn(y, 'inverse');
    return this.#mapBack(y);
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
    if (fused) {
      const { x, dx, dscale, dshift } = fused.backward(y, dy, dlogdet);
      this.scale.takeGrad(dscale);
      this.shift.takeGrad(dshift);
      return { x, dx };
    }
    this.#accumulateLogdetGrad(y, dlogdet, 1);
    const { x } = this.#mapBack(y);
    this.scale.takeGrad(channelSums(mul(dy, x)));
    this.shift.takeGrad(channelSums(dy));
    return { x, dx: mul(dy, alongChannels(this.scale.data, y)) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
    if (fused) {
      const { x: y, dx: dy, dscale, dshift } = fused.backward(x, dx, dlogdet);
      this.scale.takeGrad(dscale);
      this.shift.takeGrad(dshift);
      return { y, dy };
    }
    this.#accumulateLogdetGrad(x, dlogdet, -1);
    const dy = div(dx, alongChannels(this.scale.data, x));
    this.scale.accumulateGrad(channelSums(mul(dy, x)), -1);
    this.shift.accumulateGrad(channelSums(dy), -1);
    return { y: this.#map(x).y, dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { ds, db } = this.#directions(tangent);
    const dy = sumOfTerms(
      x,
      tangent.x && mul(tangent.x, alongChannels(this.scale.data, x)),
      ds && mul(x, alongChannels(ds, x)),
      db && add(zerosLike(x), alongChannels(db, x)),
    );
    return { ...this.#map(x), dy, dlogdet: this.#logdetTangent(x, ds, 1) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const { x, logdet } = this.#mapBack(y);
    const { ds, db } = this.#directions(tangent);
    const moved = sumOfTerms(
      y,
      tangent.x,
      ds && neg(mul(x, alongChannels(ds, x))),
      db && sub(zerosLike(y), alongChannels(db, y)),
    );
    const dx = div(moved, alongChannels(this.scale.data, y));
    return { x, dx, logdet, dlogdet: this.#logdetTangent(y, ds, -1) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('ActNorm', x, this.channels);
  }

  #map(x: Tensor): { y: Tensor; logdet: Tensor } {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'forward');
    if (fused) return fused.apply(x);
    const scaled = mul(x, alongChannels(this.scale.data, x));
    return { y: add(scaled, alongChannels(this.shift.data, x)), logdet: this.#logdet(x) };
  }

  #mapBack(y: Tensor): { x: Tensor; logdet: Tensor } {
    const fused = fusedChannelAffine(this.scale.data, this.shift.data, 'inverse');
    if (fused) {
      const { y: x, logdet } = fused.apply(y);
      return { x, logdet };
    }
    const centered = sub(y, alongChannels(this.shift.data, y));
    return { x: div(centered, alongChannels(this.scale.data, y)), logdet: neg(this.#logdet(y)) };
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

  #logdetTangent(x: Tensor, ds: Tensor | undefined, sign: 1 | -1): Tensor | undefined {
    if (!ds) return undefined;
    const perSample = affine(sum(div(ds, this.scale.data)), sign * positions(x));
    return add(zeros([x.shape[0]!], x), perSample);
  }

  #accumulateLogdetGrad(x: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    if (!dlogdet) return;
    const gradient = mul(reciprocal(this.scale.data), sum(dlogdet));
    this.scale.accumulateGrad(gradient, sign * positions(x));
  }

  #initializeOn(data: Tensor, direction: 'forward' | 'inverse'): void {
    const step = activeStep();
    if (!step || !this.awaitsData) return;
    tidy(() => {
      const count = data.size / this.channels;
      const average = affine(channelSums(data), 1 / count);
      const centered = sub(data, alongChannels(average, data));
      const variance = affine(channelSums(square(centered)), 1 / count);
      // 1 where the channel varies, 0 where it is constant and what is left is rounding.
      const least = affine(square(average), leastShare);
      const varies = reluGrad(sub(variance, least), ones([this.channels], data));
      const deviation = sqrt(add(mul(variance, varies), affine(varies, -1, 1)));
      const scale = direction === 'forward' ? reciprocal(deviation) : deviation;
      this.scale.assign(scale);
      this.shift.assign(direction === 'forward' ? neg(mul(average, scale)) : average);
    });
    step.noteInitialized(this);
  }
}
