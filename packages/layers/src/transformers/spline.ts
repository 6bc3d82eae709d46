/**
 * What splines have in common: an interval parted into bins, a piece of a curve in each, and tails beyond. Numbers
 * are found in their bins by sums over all bins, and clamped to the interval before anything is evaluated, so that
 * points far outside have finite values and gradients. Mathematics: docs/math/transformers/splines.md
 *
 * Left out: the pieces.
 */
import {
  add,
  affine,
  concat,
  div,
  exp,
  formatValue,
  full,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  requireBetween,
  requireFinite,
  requireOneOf,
  sign,
  slice,
  sub,
  sum,
  sumPerSample,
  type Tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { requireWhole } from '../core/checks.ts';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import { Transformer } from './transformer.ts';

/** What all splines take. */
export interface SplineOptions {
  /** Bins, at least 2. Default: 8. */
  readonly bins?: number;
  /** B of the interval [−B, B] that is mapped onto itself, or the interval. Default: 3. */
  readonly bound?: number | readonly [number, number];
}

/** Bins of one transformer, more of which no table would hold. */
const MOST_BINS = 2 ** 12;

/**
 * Numbers of each bin, [N, K, M] for the M numbers of a sample, or [1, K, 1] where they are constant: the left edge
 * along x and the width, the left edge along y, and what else a piece is made of.
 */
export interface Bins {
  readonly values: readonly Tensor[];
  /** The gradient of p for those of the values. */
  gradient(dvalues: readonly Tensor[]): Tensor;
  /** The derivatives of the values along dp; undefined for constants. */
  tangent(dp: Tensor): readonly (Tensor | undefined)[];
}

/** A piece at x: y and log ∂y/∂x, with their derivatives by x, and by each value of the bin. */
export interface Piece {
  readonly y: Tensor;
  readonly slope: Tensor;
  readonly logSlope: Tensor;
  /** ∂ log slope/∂x; zero where left out, as others are. */
  readonly bend: Tensor | undefined;
  readonly dy: readonly (Tensor | undefined)[];
  readonly dlogSlope: readonly (Tensor | undefined)[];
}

/** Numbers in their bins: x within the interval, and by how much the number lies beyond. */
interface Located {
  readonly x: Tensor;
  /** 1 in the number's bin, 0 in all others, [N, K, M]. */
  readonly mask: Tensor;
  /** 1 within the interval, 0 beyond. */
  readonly inside: Tensor;
  readonly beyond: Tensor;
  readonly bins: Bins;
  /** The values of the number's bin, [N, 1, M]. */
  readonly values: readonly Tensor[];
}

/** An increasing map of an interval onto itself, in pieces, that goes on as a straight line beyond. */
export abstract class Spline extends Transformer {
  readonly bins: number;
  readonly interval: readonly [number, number];

  constructor(op: string, { bins = 8, bound = 3 }: SplineOptions) {
    super();
    requireWhole(op, 'bins', bins, 2, MOST_BINS);
    this.bins = bins;
    this.interval = intervalOf(op, bound);
  }

  /** Do lines beyond have the slope of the piece that they adjoin, or 1? */
  protected abstract get slopedTails(): boolean;

  /** The bins that parameters [N, size, M] give. */
  protected abstract binsOf(p: Tensor): Bins;

  /** y of x within its bin, and the logarithm of the slope. */
  protected abstract piece(
    values: readonly Tensor[],
    x: Tensor,
  ): { readonly y: Tensor; readonly logSlope: Tensor };

  /** x of y within its bin. */
  protected abstract solve(values: readonly Tensor[], y: Tensor): Tensor;

  /** `piece` with all derivatives. */
  protected abstract differentiate(values: readonly Tensor[], x: Tensor): Piece;

  apply(x: Tensor, p: Tensor) {
    return tidy(() => {
      const at = this.#fromX(x, p);
      const { y, logSlope } = this.piece(at.values, at.x);
      const tail = this.slopedTails ? mul(exp(logSlope), at.beyond) : at.beyond;
      return { y: add(y, tail).reshape(x.shape), logdet: this.#logdet(logSlope, at) };
    });
  }

  invert(y: Tensor, p: Tensor) {
    return tidy(() => {
      const at = this.#fromY(y, p);
      const { logSlope } = this.piece(at.values, at.x);
      return { x: add(at.x, at.beyond).reshape(y.shape), logdet: neg(this.#logdet(logSlope, at)) };
    });
  }

  applyBackward(y: Tensor, p: Tensor, dy: Tensor, dlogdet?: Tensor) {
    return tidy(() => {
      const at = this.#fromY(y, p);
      const piece = this.#differentiate(at);
      const own = dy.reshape(at.x.shape);
      const dl = dlogdet && perSample(dlogdet, own);
      const bent = dl && piece.bend && mul(dl, piece.bend);
      const dx = sumOfTerms(own, mul(piece.slope, own), bent).reshape(y.shape);
      const x = add(at.x, at.beyond).reshape(y.shape);
      return { x, dx, dp: this.#gradient(at, piece, own, dl).reshape(p.shape) };
    });
  }

  invertBackward(x: Tensor, p: Tensor, dx: Tensor, dlogdet?: Tensor) {
    return tidy(() => {
      const at = this.#fromX(x, p);
      const piece = this.#differentiate(at);
      const own = dx.reshape(at.x.shape);
      const dl = dlogdet && perSample(dlogdet, own);
      const bent = dl && piece.bend && neg(mul(dl, piece.bend));
      const dy = div(sumOfTerms(own, own, bent), piece.slope);
      const dp = neg(this.#gradient(at, piece, dy, dl)).reshape(p.shape);
      return { y: piece.y.reshape(x.shape), dy: dy.reshape(x.shape), dp };
    });
  }

  applyTangent(x: Tensor, p: Tensor, dx?: Tensor, dp?: Tensor) {
    return tidy(() => {
      const at = this.#fromX(x, p);
      const piece = this.#differentiate(at);
      const moved = this.#along(at, piece, dp);
      const own = dx?.reshape(at.x.shape);
      const dy = sumOfTerms(at.x, own && mul(piece.slope, own), moved.dy);
      const bent = own && piece.bend && mul(piece.bend, own);
      return {
        y: piece.y.reshape(x.shape),
        dy: dy.reshape(x.shape),
        logdet: sumPerSample(piece.logSlope),
        dlogdet: sumPerSample(sumOfTerms(at.x, bent, moved.dlogSlope)),
      };
    });
  }

  invertTangent(y: Tensor, p: Tensor, dy?: Tensor, dp?: Tensor) {
    return tidy(() => {
      const at = this.#fromY(y, p);
      const piece = this.#differentiate(at);
      const moved = this.#along(at, piece, dp);
      const own = dy?.reshape(at.x.shape);
      const dx = div(sumOfTerms(at.x, own, moved.dy && neg(moved.dy)), piece.slope);
      const bent = piece.bend && mul(piece.bend, dx);
      return {
        x: add(at.x, at.beyond).reshape(y.shape),
        dx: dx.reshape(y.shape),
        logdet: neg(sumPerSample(piece.logSlope)),
        dlogdet: neg(sumPerSample(sumOfTerms(at.x, bent, moved.dlogSlope))),
      };
    });
  }

  #fromX(x: Tensor, p: Tensor): Located {
    const [u, bins] = [flat(x), this.binsOf(flat(p, this.size))];
    const { clamped, inside, beyond } = this.#clamp(u);
    const mask = maskOf(bins.values[0]!, clamped);
    return { x: clamped, mask, inside, beyond, bins, values: valuesAt(mask, bins.values) };
  }

  #fromY(y: Tensor, p: Tensor): Located {
    const [u, bins] = [flat(y), this.binsOf(flat(p, this.size))];
    const { clamped, inside, beyond: above } = this.#clamp(u);
    const mask = maskOf(bins.values[2]!, clamped);
    const values = valuesAt(mask, bins.values);
    const x = this.solve(values, clamped);
    const slope = this.slopedTails && exp(this.piece(values, x).logSlope);
    return { x, mask, inside, beyond: slope ? div(above, slope) : above, bins, values };
  }

  #clamp(u: Tensor): { clamped: Tensor; inside: Tensor; beyond: Tensor } {
    const [low, high] = this.interval.map((bound) => full([1, 1, 1], bound, u));
    const clamped = minimum(maximum(u, low!), high!);
    const outside = add(positive(sub(low!, u)), positive(sub(u, high!)));
    return { clamped, inside: affine(outside, -1, 1), beyond: sub(u, clamped) };
  }

  #logdet(logSlope: Tensor, { inside }: Located): Tensor {
    return sumPerSample(this.slopedTails ? logSlope : mul(inside, logSlope));
  }

  /** The piece with its tails: beyond, y grows by the slope at the bound, which depends on the bin. */
  #differentiate({ x, inside, beyond, values }: Located): Piece {
    const { y, slope, logSlope, bend, dy, dlogSlope } = this.differentiate(values, x);
    const within = (t: Tensor | undefined) => t && mul(inside, t);
    if (this.slopedTails) {
      const tail = mul(slope, beyond);
      return {
        y: add(y, tail),
        slope,
        logSlope,
        bend: within(bend),
        dy: dy.map((d, i) => {
          const dlog = dlogSlope[i];
          return sumOfTerms(x, within(d), dlog && mul(tail, dlog));
        }),
        dlogSlope,
      };
    }
    return {
      y: add(y, beyond),
      slope: add(mul(inside, slope), affine(inside, -1, 1)),
      logSlope: mul(inside, logSlope),
      bend: within(bend),
      dy: dy.map(within),
      dlogSlope: dlogSlope.map(within),
    };
  }

  /** The gradient of p for those of y and of log slope. */
  #gradient({ bins, mask, x }: Located, piece: Piece, dy: Tensor, dl: Tensor | undefined): Tensor {
    const dvalues = bins.values.map((_, i) => {
      const [byY, byLog] = [piece.dy[i], piece.dlogSlope[i]];
      return mul(mask, sumOfTerms(x, byY && mul(byY, dy), byLog && dl && mul(byLog, dl)));
    });
    return bins.gradient(dvalues);
  }

  /** The derivatives of y and of log slope along dp. */
  #along({ bins, mask }: Located, piece: Piece, dp: Tensor | undefined) {
    if (!dp) return {};
    const dvalues = bins
      .tangent(flat(dp, this.size))
      .map((d) => d && sum(mul(mask, d), { axes: [1], keepDims: true }));
    const along = (partials: readonly (Tensor | undefined)[]) =>
      sumOfTerms(
        piece.slope,
        ...partials.map((d, i) => {
          const dvalue = dvalues[i];
          return d && dvalue && mul(d, dvalue);
        }),
      );
    return { dy: along(piece.dy), dlogSlope: along(piece.dlogSlope) };
  }
}

/** [N, channels, M] for the numbers of a sample. */
function flat(x: Tensor, channels = 1): Tensor {
  return x.reshape([x.shape[0]!, channels, -1]);
}

/** 1 where x > 0, else 0. */
function positive(x: Tensor): Tensor {
  return relu(sign(x));
}

/** 1 in the bin that u lies in, given the left edges; the first edge is at most u. */
function maskOf(edges: Tensor, u: Tensor): Tensor {
  const reached = affine(positive(sub(edges, u)), -1, 1);
  const [n, k, m] = reached.shape;
  const next = concat([slice(reached, 1, 1, k! - 1), zeros([n!, 1, m!], reached)], 1);
  return sub(reached, next);
}

function valuesAt(mask: Tensor, values: readonly Tensor[]): Tensor[] {
  return values.map((v) => sum(mul(mask, v), { axes: [1], keepDims: true }));
}

function intervalOf(op: string, bound: number | readonly [number, number]): [number, number] {
  if (typeof bound === 'number') {
    requireBetween(op, 'bound', bound, 0);
    return [-bound, bound];
  }
  const [low, high] = Array.isArray(bound) && bound.length === 2 ? bound : [];
  if (low === undefined || high === undefined) {
    throw new ValueError(
      `${op}: bound is ${formatValue(bound)}; expected a number B, of [−B, B], or a pair [low, high].`,
    );
  }
  requireFinite(op, 'bound[0]', low);
  requireBetween(op, 'bound[1]', high, low);
  return [low, high];
}

/** @throws ValueError unless it is one of the ways in which any spline may go on. */
export function requireTails(op: string, tails: 'identity' | 'linear'): 'identity' | 'linear' {
  requireOneOf(op, 'tails', tails, ['identity', 'linear']);
  return tails;
}
