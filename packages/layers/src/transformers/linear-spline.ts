/**
 * Piecewise linear maps (Müller et al., "Neural importance sampling", 2019).
 * Mathematics: docs/math/transformers/splines.md
 */
import {
  add,
  affine,
  div,
  log,
  mul,
  ones,
  reciprocal,
  sub,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { partition, requireLeast } from './partition.ts';
import { type Bins, type Piece, requireTails, Spline, type SplineOptions } from './spline.ts';

/** Options of `LinearSpline`. */
export interface LinearSplineOptions extends SplineOptions {
  /** Beyond the interval, does the line have slope 1, or that of the outermost bin? Default: `identity`. */
  readonly tails?: 'identity' | 'linear';
  /** The least height of a bin, as a share of the interval. Default: 0.001. */
  readonly minHeight?: number;
}

/**
 * A straight line in each of K bins of equal widths, with heights by a softmax. Zeros as parameters, a height for each
 * bin, are the identity.
 *
 * Slopes jump at the edges of bins, which gradients do not see.
 *
 * @example
 * const transformer = new LinearSpline({ bins: 16, bound: [0, 1] });
 * new ElementwiseTransform({ channels: 2, transformer });
 */
export class LinearSpline extends Spline {
  static readonly type: string = 'LinearSpline';
  readonly tails: 'identity' | 'linear';
  readonly minHeight: number;

  /** @throws ValueError for fewer than 2 bins, heights that cannot be, or a bound that is not positive. */
  constructor(options: LinearSplineOptions = {}) {
    requireModuleOptions('LinearSpline', options, ['bins', 'bound', 'tails', 'minHeight']);
    super('LinearSpline', options);
    const { tails = 'identity', minHeight = 1e-3 } = options;
    this.tails = requireTails('LinearSpline', tails);
    this.minHeight = requireLeast('LinearSpline', 'minHeight', minHeight, this.bins);
  }

  get options() {
    const { bins, interval, tails, minHeight } = this;
    return { bins, bound: interval, tails, minHeight };
  }

  get size() {
    return this.bins;
  }

  protected get slopedTails() {
    return this.tails === 'linear';
  }

  protected binsOf(p: Tensor): Bins {
    const { bins, interval } = this;
    const [low, high] = interval;
    const width = (high - low) / bins;
    const lefts = Float64Array.from({ length: bins }, (_, k) => low + k * width);
    const y = partition(p, interval, this.minHeight);
    const edges = tensor(lefts, [1, bins, 1], p);
    const widths = affine(ones([1, bins, 1], p), width);
    return {
      values: [edges, widths, y.edges, y.widths],
      gradient: ([, , dy, dh]) => y.gradient(dy!, dh!),
      tangent: (dp) => {
        const moved = y.tangent(dp);
        return [undefined, undefined, moved.edges, moved.widths];
      },
    };
  }

  protected piece(values: readonly Tensor[], x: Tensor) {
    const [x0, w, y0, h] = values as Four;
    return { y: add(y0, mul(div(h, w), sub(x, x0))), logSlope: sub(log(h), log(w)) };
  }

  protected solve(values: readonly Tensor[], y: Tensor): Tensor {
    const [x0, w, y0, h] = values as Four;
    return add(x0, mul(div(w, h), sub(y, y0)));
  }

  protected differentiate(values: readonly Tensor[], x: Tensor): Piece {
    const [x0, w, , h] = values as Four;
    return {
      ...this.piece(values, x),
      slope: div(h, w),
      bend: undefined,
      dy: [undefined, undefined, ones([1, 1, 1], x), div(sub(x, x0), w)],
      dlogSlope: [undefined, undefined, undefined, reciprocal(h)],
    };
  }
}

type Four = [Tensor, Tensor, Tensor, Tensor];
