/**
 * Scales and shifts that keep volumes (Sorrenson, Rother and Köthe, "Disentanglement by nonlinear ICA with
 * general incompressible-flow networks (GIN)", 2020).
 * Mathematics: docs/math/transformers/volume-preserving-transformer.md
 */
import {
  add,
  concat,
  div,
  exp,
  log,
  mean,
  mul,
  neg,
  requireOneOf,
  sub,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { type Activation, requireScaleFunction } from '../elementwise/activation.ts';
import { expClamp } from '../elementwise/exponentials.ts';
import { zeroPerSample } from './additive-transformer.ts';
import { halvesOf } from './affine.ts';
import { Transformer } from './transformer.ts';

/** Options of `VolumePreservingTransformer`. */
export interface VolumePreservingTransformerOptions {
  /** Gives the scale before the mean of its logarithm is taken off, as of `AffineTransformer`. Default: `expClamp()`. */
  readonly scaleFunction?: Activation;
  /**
   * Over what that mean is taken: the channels at each position, or all numbers of a sample. Default:
   * `channels`.
   */
  readonly over?: 'channels' | 'sample';
}

/**
 * y = s x + t with log s = λ − mean λ, λ = log scaleFunction(r) and p = (r, t); logdet = 0, exactly.
 *
 * What some channels are stretched by, others are shrunk by: it moves several numbers together, and a single
 * channel is shifted alone. In a coupling it is GIN.
 *
 * @example
 * const transformer = new VolumePreservingTransformer({ scaleFunction: expClamp({ clamp: 2, rate: 1 }) });
 * new TwoSidedCoupling({ channels: 6, transformer, hidden: 32 });
 */
export class VolumePreservingTransformer extends Transformer {
  static readonly type: string = 'VolumePreservingTransformer';
  readonly scaleFunction: Activation;
  readonly over: 'channels' | 'sample';

  /** @throws ValueError for a scale function that can reach zero, or another mean. */
  constructor(options: VolumePreservingTransformerOptions = {}) {
    super();
    requireModuleOptions('VolumePreservingTransformer', options, ['scaleFunction', 'over']);
    const { scaleFunction = expClamp(), over = 'channels' } = options;
    requireOneOf('VolumePreservingTransformer', 'over', over, ['channels', 'sample']);
    this.scaleFunction = requireScaleFunction('VolumePreservingTransformer', scaleFunction);
    this.over = over;
  }

  get options() {
    return { scaleFunction: this.scaleFunction, over: this.over };
  }

  get size() {
    return 2;
  }

  override get pointwise() {
    return false;
  }

  apply(x: Tensor, p: Tensor) {
    return tidy(() => {
      const { s, t } = this.#scaleAndShift(p);
      return { y: add(mul(s, x), t), logdet: zeroPerSample(x) };
    });
  }

  invert(y: Tensor, p: Tensor) {
    return tidy(() => {
      const { s, t } = this.#scaleAndShift(p);
      return { x: div(sub(y, t), s), logdet: zeroPerSample(y) };
    });
  }

  applyBackward(y: Tensor, p: Tensor, dy: Tensor) {
    return tidy(() => {
      const { r, s, t } = this.#scaleAndShift(p);
      const moved = sub(y, t);
      const dp = concat([this.#backThroughScale(r, mul(dy, moved)), dy], 1);
      return { x: div(moved, s), dx: mul(s, dy), dp };
    });
  }

  invertBackward(x: Tensor, p: Tensor, dx: Tensor) {
    return tidy(() => {
      const { r, s, t } = this.#scaleAndShift(p);
      const dy = div(dx, s);
      const dp = neg(concat([this.#backThroughScale(r, mul(dx, x)), dy], 1));
      return { y: add(mul(s, x), t), dy, dp };
    });
  }

  applyTangent(x: Tensor, p: Tensor, dx?: Tensor, dp?: Tensor) {
    return tidy(() => {
      const { s, t, dlog, dt } = this.#tangents(p, dp);
      const scaled = mul(s, x);
      const dy = sumOfTerms(x, dlog && mul(dlog, scaled), dx && mul(s, dx), dt);
      return { y: add(scaled, t), dy, logdet: zeroPerSample(x), dlogdet: zeroPerSample(x) };
    });
  }

  invertTangent(y: Tensor, p: Tensor, dy?: Tensor, dp?: Tensor) {
    return tidy(() => {
      const { s, t, dlog, dt } = this.#tangents(p, dp);
      const x = div(sub(y, t), s);
      const moved = div(sumOfTerms(y, dy, dt && neg(dt)), s);
      const dx = dlog ? sub(moved, mul(dlog, x)) : moved;
      return { x, dx, logdet: zeroPerSample(y), dlogdet: zeroPerSample(y) };
    });
  }

  /** r, s = exp(λ − mean λ) and t. */
  #scaleAndShift(p: Tensor): { r: Tensor; s: Tensor; t: Tensor } {
    const { scaleFunction: f } = this;
    const [r, t] = halvesOf(p);
    return { r, s: exp(this.#centred(f.log?.apply(r) ?? log(f.apply(r)))), t };
  }

  /** s and t, and the directions of log s and t. */
  #tangents(p: Tensor, dp: Tensor | undefined) {
    const { r, s, t } = this.#scaleAndShift(p);
    const [dr, dt] = dp ? halvesOf(dp) : [];
    return { s, t, dlog: dr && this.#centred(this.#throughLog(r, dr)), dt };
  }

  /** The gradient of r for that of log s; to take off a mean is its own adjoint. */
  #backThroughScale(r: Tensor, dlog: Tensor): Tensor {
    return this.#throughLog(r, this.#centred(dlog));
  }

  /** d·λ′(r) */
  #throughLog(r: Tensor, d: Tensor): Tensor {
    const { scaleFunction: f } = this;
    const s = f.apply(r);
    return f.log?.grad(s, d, r) ?? f.grad(s, div(d, s), r);
  }

  /** v less its mean. */
  #centred(v: Tensor): Tensor {
    const axes = v.shape.map((_, axis) => axis);
    const over = this.over === 'channels' ? [1] : axes.slice(1);
    return sub(v, mean(v, { axes: over, keepDims: true }));
  }
}
