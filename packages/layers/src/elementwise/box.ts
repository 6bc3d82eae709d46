/** Numbers between bounds. Mathematics: docs/math/elementwise/constrained.md */
import {
  add,
  affine,
  div,
  formatValue,
  log,
  mul,
  neg,
  requireFinite,
  requireList,
  type Shape,
  sigmoid,
  sub,
  sumPerSample,
  type Tensor,
  tanh,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions } from '../core/checks.ts';
import { alongChannels, perSample, positions } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { aboveZero } from './above-zero.ts';
import { logLogisticSlope, rootLogisticSlope } from './logistic-slope.ts';

/** Options of `Box`. */
export interface BoxOptions {
  /** A lower bound for each channel. */
  readonly low: readonly number[];
  /** An upper bound for each channel, above the lower one. */
  readonly high: readonly number[];
}

/**
 * y = low + (high − low)·σ(x), with bounds for each channel; logdet = Σ log (high − low)σ′(x). Nothing is
 * trained. With one pair of bounds for all channels it is `Elementwise(sigmoid({ low, high }))`.
 *
 * The inverse of what was rounded to a bound is finite; that of what is beyond is NaN.
 *
 * @example
 * const prior = new Box({ low: [0, -1], high: [10, 1] });
 * const { y } = prior.forward(x); // x [N, 2, ...]
 */
export class Box extends Bijection {
  static readonly type: string = 'Box';
  readonly low: readonly number[];
  readonly high: readonly number[];

  /** @throws ValueError unless there are as many bounds of both kinds, finite, the lower ones below the upper. */
  constructor(options: BoxOptions) {
    super();
    requireModuleOptions('Box', options, ['low', 'high']);
    const { low, high } = options;
    requireBounds(low, high);
    this.low = [...low];
    this.high = [...high];
  }

  get options() {
    return { low: this.low, high: this.high };
  }

  protected apply(x: Tensor) {
    const inside = mul(sigmoid(x), this.#widths(x));
    return { y: add(inside, this.#over(this.low, x)), logdet: this.#logdet(x) };
  }

  protected invert(y: Tensor) {
    const x = this.#free(y);
    return { x, logdet: neg(this.#logdet(x)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const x = this.#free(y);
    const dx = this.#timesSlope(x, dy);
    return { x, dx: dlogdet ? sub(dx, mul(perSample(dlogdet, x), minusBend(x))) : dx };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const moved = dlogdet ? add(dx, mul(perSample(dlogdet, x), minusBend(x))) : dx;
    return { y: this.apply(x).y, dy: this.#overSlope(x, moved) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { y, logdet } = this.apply(x);
    if (!dx) return { y, logdet };
    const dlogdet = neg(sumPerSample(mul(minusBend(x), dx)));
    return { y, dy: this.#timesSlope(x, dx), logdet, dlogdet };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    const { x, logdet } = this.invert(y);
    if (!dy) return { x, logdet };
    const dx = this.#overSlope(x, dy);
    return { x, dx, logdet, dlogdet: sumPerSample(mul(minusBend(x), dx)) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('Box', x, this.low.length);
  }

  /** x = log(y − low) − log(high − y) */
  #free(y: Tensor): Tensor {
    const [low, high] = [this.#over(this.low, y), this.#over(this.high, y)];
    return sub(log(aboveZero(sub(y, low))), log(aboveZero(sub(high, y))));
  }

  /** P·Σ log(high − low) + Σ log σ′(x) */
  #logdet(x: Tensor): Tensor {
    const constant = this.low.reduce((sum, low, c) => sum + Math.log(this.high[c]! - low), 0);
    return affine(sumPerSample(logLogisticSlope(x)), 1, constant * positions(x));
  }

  /** v·(high − low)·σ′(x) */
  #timesSlope(x: Tensor, v: Tensor): Tensor {
    const root = rootLogisticSlope(x);
    return mul(mul(mul(v, this.#widths(x)), root), root);
  }

  #overSlope(x: Tensor, v: Tensor): Tensor {
    const root = rootLogisticSlope(x);
    return div(div(div(v, this.#widths(x)), root), root);
  }

  #widths(x: Tensor): Tensor {
    return this.#over(
      this.low.map((low, c) => this.high[c]! - low),
      x,
    );
  }

  /** A number for each channel, to broadcast over x. */
  #over(values: readonly number[], x: Tensor): Tensor {
    return alongChannels(tensor(values, [values.length], x), x);
  }
}

/** −∂ log σ′/∂x = 2σ(x) − 1 */
function minusBend(x: Tensor): Tensor {
  return tanh(affine(x, 0.5));
}

function requireBounds(low: readonly number[], high: readonly number[]): void {
  requireList('Box', 'low', low);
  requireList('Box', 'high', high);
  if (low.length === 0 || low.length !== high.length) {
    throw new ValueError(
      `Box: low has ${low.length} numbers and high ${high.length}; expected one a channel in both.`,
    );
  }
  for (const [c, from] of low.entries()) {
    requireFinite('Box', `low[${c}]`, from);
    requireFinite('Box', `high[${c}]`, high[c]!);
    if (from < high[c]! && Number.isFinite(high[c]! - from)) continue;
    throw new ValueError(
      `Box: low[${c}] is ${formatValue(from)} and high[${c}] ${formatValue(high[c])}; expected a lower and an ` +
        'upper bound.',
    );
  }
}
