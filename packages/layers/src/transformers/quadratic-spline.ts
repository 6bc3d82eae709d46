/**
 * Piecewise quadratic maps, whose slope is a polygon (Müller et al., "Neural importance sampling", 2019).
 * Mathematics: docs/math/transformers/splines.md
 */
import {
  add,
  affine,
  concat,
  conv,
  convInputGrad,
  div,
  log,
  mul,
  neg,
  ones,
  relu,
  requireBetween,
  sigmoid,
  slice,
  softplus,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { partition, requireLeast, sumsBefore } from './partition.ts';
import { type Bins, type Piece, requireTails, Spline, type SplineOptions } from './spline.ts';

/** Options of `QuadraticSpline`. */
export interface QuadraticSplineOptions extends SplineOptions {
  /**
   * Beyond the interval, does the line have slope 1, as the spline then has at both ends, or the spline's own?
   * Default: `identity`.
   */
  readonly tails?: 'identity' | 'linear';
  /** The least width of a bin, as a share of the interval. Default: 0.001. */
  readonly minWidth?: number;
  /** The least slope at an edge of bins, below 1. Default: 0.001. */
  readonly minSlope?: number;
}

/** What slopes are more than zero before they are normalized, as in nflows. */
const LEAST = 1e-3;

/**
 * A parabola in each of K bins, with widths by a softmax, and slopes at their edges, normalized so that the interval
 * is mapped onto itself. Zeros as parameters are the identity.
 *
 * A number has K widths, then slopes at the edges, from the left: K − 1 inner ones with `identity` tails, and K + 1 with
 * `linear`.
 *
 * @example
 * const transformer = new QuadraticSpline({ bins: 8, bound: [0, 1], tails: 'linear' });
 * new TransformerCoupling({ channels: 2, transformer, hidden: 64, ndims: 0 });
 */
export class QuadraticSpline extends Spline {
  static readonly type: string = 'QuadraticSpline';
  readonly tails: 'identity' | 'linear';
  readonly minWidth: number;
  readonly minSlope: number;

  /** @throws ValueError for fewer than 2 bins, widths or slopes that cannot be, or a bound that is not positive. */
  constructor(options: QuadraticSplineOptions = {}) {
    const names = ['bins', 'bound', 'tails', 'minWidth', 'minSlope'];
    requireModuleOptions('QuadraticSpline', options, names);
    super('QuadraticSpline', options);
    const { tails = 'identity', minWidth = 1e-3, minSlope = 1e-3 } = options;
    this.tails = requireTails('QuadraticSpline', tails);
    this.minWidth = requireLeast('QuadraticSpline', 'minWidth', minWidth, this.bins);
    requireBetween('QuadraticSpline', 'minSlope', minSlope, 0, 1);
    this.minSlope = minSlope;
  }

  get options() {
    const { bins, interval, tails, minWidth, minSlope } = this;
    return { bins, bound: interval, tails, minWidth, minSlope };
  }

  get size() {
    return 2 * this.bins + (this.tails === 'linear' ? 1 : -1);
  }

  protected get slopedTails() {
    return this.tails === 'linear';
  }

  protected binsOf(p: Tensor): Bins {
    const { bins, interval } = this;
    const before = sumsBefore(bins, p);
    const x = partition(slice(p, 1, 0, bins), interval, this.minWidth);
    const slopes = this.#slopes(slice(p, 1, bins, this.size - bins), x.widths);
    const [left, right] = sides(slopes.edges);
    const mean = affine(add(left, right), 0.5);
    const half = affine(x.widths, 0.5);
    const edges = affine(conv(mul(x.widths, mean), before), 1, interval[0]);
    return {
      values: [x.edges, x.widths, edges, left, right],
      gradient: ([dx, dw, dy, dl, dr]) => {
        const darea = convInputGrad(dy!, before, dy!.shape);
        const shared = mul(darea, half);
        const [dp, dwidths] = slopes.gradient(joined(add(dl!, shared), add(dr!, shared)));
        const all = add(add(dw!, mul(darea, mean)), dwidths);
        return concat([x.gradient(dx!, all), dp], 1);
      },
      tangent: (dp) => {
        const moved = x.tangent(slice(dp, 1, 0, bins));
        const dslopes = slopes.tangent(slice(dp, 1, bins, this.size - bins), moved.widths);
        const [dl, dr] = sides(dslopes);
        const darea = add(mul(moved.widths, mean), mul(half, add(dl, dr)));
        return [moved.edges, moved.widths, conv(darea, before), dl, dr];
      },
    };
  }

  protected piece(values: readonly Tensor[], x: Tensor) {
    const [, , y0, l] = values as Five;
    const { t, slope } = along(values, x);
    return { y: add(y0, affine(mul(t, add(l, slope)), 0.5)), logSlope: log(slope) };
  }

  protected solve(values: readonly Tensor[], y: Tensor): Tensor {
    const [x0, w, y0, l, r] = values as Five;
    const zeta = affine(sub(y, y0), 2);
    // What stands below the root is the slope's square, and not negative but for rounding.
    const root = sqrt(relu(add(square(l), mul(div(sub(r, l), w), zeta))));
    return add(x0, div(zeta, add(l, root)));
  }

  protected differentiate(values: readonly Tensor[], x: Tensor): Piece {
    const [, w] = values as Five;
    const { t, slope, curvature } = along(values, x);
    const theta = div(t, w);
    const rest = affine(theta, -1, 1);
    const half = affine(mul(t, theta), 0.5);
    const bend = div(curvature, slope);
    return {
      ...this.piece(values, x),
      slope,
      bend,
      dy: [neg(slope), neg(mul(curvature, half)), ones([1, 1, 1], x), sub(t, half), half],
      dlogSlope: [neg(bend), neg(mul(bend, theta)), undefined, div(rest, slope), div(theta, slope)],
    };
  }

  /**
   * Slopes at all edges, of which the mean over the interval is 1. With g = softplus(p) + 0.001, and zeros at the
   * ends of an interval with identity tails, they are min + (1 − min) g/c; c is the mean of g, over what the slopes
   * at the ends, which are 1, leave of the interval.
   */
  #slopes(p: Tensor, widths: Tensor) {
    const { bins, minSlope, slopedTails } = this;
    const room = 1 - minSlope;
    const [low, high] = this.interval;
    const perRange = 1 / (high - low);
    const [n, , m] = p.shape;
    const end = zeros([n!, 1, m!], p);
    const padded = (t: Tensor) => (slopedTails ? t : concat([end, t, end], 1));
    const inner = (t: Tensor) => (slopedTails ? t : slice(t, 1, 1, bins - 1));
    const g = padded(affine(softplus(p), 1, LEAST));
    const means = affine(add(...sides(g)), 0.5 * perRange);
    const shares = affine(widths, 0.5 * perRange);
    /** The share of the interval that slopes of 1 at its ends have of the mean, by the widths. */
    const taken = (t: Tensor) =>
      affine(add(slice(t, 1, 0, 1), slice(t, 1, bins - 1, 1)), 0.5 * perRange);
    const left = slopedTails ? ones([1, 1, 1], p) : affine(taken(widths), -1, 1);
    const c = div(total(mul(widths, means)), left);
    const scaled = inner(div(g, c));
    const own = affine(scaled, room, minSlope);
    const one = affine(end, 1, 1);
    return {
      edges: slopedTails ? own : concat([one, own, one], 1),
      gradient: (dslopes: Tensor): readonly [Tensor, Tensor] => {
        const ds = affine(inner(dslopes), room);
        const dmean = neg(div(total(mul(ds, scaled)), mul(c, left)));
        const dg = add(div(ds, c), inner(mul(dmean, joined(shares, shares))));
        const dwidths = mul(dmean, means);
        const dp = mul(dg, sigmoid(p));
        if (slopedTails) return [dp, dwidths];
        const dend = affine(mul(dmean, c), 0.5 * perRange);
        const between = zeros([n!, bins - 2, m!], p);
        return [dp, add(dwidths, concat([dend, between, dend], 1))];
      },
      tangent: (dp: Tensor, dwidths: Tensor) => {
        const dg = padded(mul(sigmoid(p), dp));
        const [dl, dr] = sides(dg);
        const moved = total(add(mul(dwidths, means), mul(shares, add(dl, dr))));
        const dc = div(slopedTails ? moved : add(moved, mul(c, taken(dwidths))), left);
        const own = affine(sub(div(inner(dg), c), mul(scaled, div(dc, c))), room);
        return padded(own);
      },
    };
  }
}

type Five = [Tensor, Tensor, Tensor, Tensor, Tensor];

/** How far x lies in its bin, the slope there, and how that grows. */
function along(values: readonly Tensor[], x: Tensor) {
  const [x0, w, , l, r] = values as Five;
  const t = sub(x, x0);
  const curvature = div(sub(r, l), w);
  return { t, curvature, slope: add(l, mul(curvature, t)) };
}

/** Of all edges, those to the left and to the right of bins. */
function sides(edges: Tensor): readonly [Tensor, Tensor] {
  const bins = edges.shape[1]! - 1;
  return [slice(edges, 1, 0, bins), slice(edges, 1, 1, bins)];
}

/** The adjoint of `sides`. */
function joined(left: Tensor, right: Tensor): Tensor {
  const [n, , m] = left.shape;
  const none = zeros([n!, 1, m!], left);
  return add(concat([left, none], 1), concat([none, right], 1));
}

function total(t: Tensor): Tensor {
  return sum(t, { axes: [1], keepDims: true });
}
