/** Rectifiers whose slopes are trained. Mathematics: docs/math/elementwise/learned-slopes.md */
import {
  add,
  affine,
  exp,
  full,
  mul,
  neg,
  ones,
  reluGrad,
  requireBetween,
  requireBoolean,
  type Shape,
  sub,
  sumPerSample,
  type Tensor,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { alongChannels, channelSums, perSample, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `LearnedSlopes`. */
export interface LearnedSlopesOptions {
  readonly channels: number;
  /** The slope for x > 0 at first. Default: 2. */
  readonly above?: number;
  /** The slope for x ≤ 0 at first; left out, it is and stays the reciprocal of that above. */
  readonly below?: number;
  /** Slopes that are not trained. Default: false. */
  readonly frozen?: boolean;
}

/**
 * y = e^α x for x > 0 and e^β x otherwise, with an α and a β for each channel; logdet is the sum of what of
 * both applies. With `below` left out there is no β: it is −α.
 *
 * @example
 * const rectifier = new LearnedSlopes({ channels: 3, above: 1, below: 0.1 });
 * const { y } = rectifier.forward(x); // x [N, 3, ...]
 */
export class LearnedSlopes extends Bijection {
  static readonly type: string = 'LearnedSlopes';
  readonly channels: number;
  /** α */
  readonly above: Parameter;
  /** β; undefined where it is −α. */
  readonly below: Parameter | undefined;
  readonly #start: Omit<LearnedSlopesOptions, 'channels'>;

  /** @throws ValueError unless channels ≥ 1 and slopes are finite and positive. */
  constructor(options: LearnedSlopesOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('LearnedSlopes', options, ['channels', 'above', 'below', 'frozen']);
    const { channels, above = 2, below, frozen = false } = options;
    requireWhole('LearnedSlopes', 'channels', channels, 1);
    requireBetween('LearnedSlopes', 'above', above, 0);
    if (below !== undefined) requireBetween('LearnedSlopes', 'below', below, 0);
    requireBoolean('LearnedSlopes', 'frozen', frozen);
    const logarithm = (name: string, slope: number) =>
      new Parameter(name, full([channels], Math.log(slope)), { frozen });
    this.channels = channels;
    this.#start = { above, ...(below !== undefined && { below }), frozen };
    this.above = logarithm('above', above);
    this.below = below === undefined ? undefined : logarithm('below', below);
    building.complete();
  }

  get options() {
    return { channels: this.channels, ...this.#start };
  }

  protected apply(x: Tensor) {
    const slope = this.#logSlope(x);
    return { y: mul(x, exp(slope)), logdet: sumPerSample(slope) };
  }

  protected invert(y: Tensor) {
    const slope = this.#logSlope(y);
    return { x: mul(y, exp(neg(slope))), logdet: neg(sumPerSample(slope)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    this.#accumulate(y, dy, dlogdet, 1);
    const slope = this.#logSlope(y);
    return { x: mul(y, exp(neg(slope))), dx: mul(dy, exp(slope)) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    this.#accumulate(x, dx, dlogdet, -1);
    const slope = this.#logSlope(x);
    return { y: mul(x, exp(slope)), dy: mul(dx, exp(neg(slope))) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { y, logdet } = this.apply(x);
    const dslope = this.#directionAt(x, tangent);
    const dx = tangent.x && mul(tangent.x, exp(this.#logSlope(x)));
    const dy = sumOfTerms(x, dx, dslope && mul(y, dslope));
    return { y, dy, logdet, dlogdet: dslope && sumPerSample(dslope) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const { x, logdet } = this.invert(y);
    const dslope = this.#directionAt(y, tangent);
    const dy = tangent.x && mul(tangent.x, exp(neg(this.#logSlope(y))));
    const dx = sumOfTerms(y, dy, dslope && neg(mul(x, dslope)));
    return { x, dx, logdet, dlogdet: dslope && neg(sumPerSample(dslope)) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('LearnedSlopes', x, this.channels);
  }

  /** α or β at each number: of x or of y, whose signs are equal. */
  #logSlope(x: Tensor): Tensor {
    const { above, below } = this;
    return parted(x, above.data, below ? below.data : neg(above.data));
  }

  #directionAt(x: Tensor, { parameters }: Tangent): Tensor | undefined {
    const dabove = parameters?.get(this.above);
    const dbelow = this.below ? parameters?.get(this.below) : dabove && neg(dabove);
    if (!dabove && !dbelow) return undefined;
    const none = affine(this.above.data, 0);
    return parted(x, dabove ?? none, dbelow ?? none);
  }

  /** Adds ± the gradients of α and β, given a side of the map and the gradient there. */
  #accumulate(x: Tensor, dx: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    const along = mul(x, dx);
    const of = dlogdet ? add(along, perSample(dlogdet, x)) : along;
    const dabove = channelSums(reluGrad(x, of));
    const dbelow = sub(channelSums(of), dabove);
    this.above.accumulateGrad(dabove, sign);
    if (this.below) this.below.accumulateGrad(dbelow, sign);
    else this.above.accumulateGrad(dbelow, -sign);
  }
}

/** A number per channel for x > 0, and another one otherwise. */
function parted(x: Tensor, above: Tensor, below: Tensor): Tensor {
  const positive = reluGrad(x, ones(x.shape, x));
  const step = alongChannels(sub(above, below), x);
  return add(mul(positive, step), alongChannels(below, x));
}
