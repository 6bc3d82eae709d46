/**
 * Rational-quadratic splines (Gregory and Delbourgo 1982; Durkan et al., "Neural spline flows", 2019), also on the
 * circle (Rezende et al., "Normalizing flows on tori and spheres", 2020).
 * Mathematics: docs/math/transformers/splines.md
 */
import {
  abs,
  add,
  affine,
  concat,
  div,
  exp,
  type FusedSpline,
  fusedSpline,
  log,
  minimum,
  mul,
  neg,
  ones,
  reciprocal,
  relu,
  requireAtLeast,
  requireBetween,
  requireOneOf,
  sigmoid,
  slice,
  softplus,
  sqrt,
  square,
  sub,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { partition, requireLeast } from './partition.ts';
import { type Bins, type Piece, Spline, type SplineOptions } from './spline.ts';

/** How a rational-quadratic spline goes on beyond its interval. */
export type SplineTails = 'identity' | 'linear' | 'circular';

const tailNames = ['identity', 'linear', 'circular'] as const;

/** Options of `RationalQuadraticSpline`. */
export interface RationalQuadraticSplineOptions extends SplineOptions {
  /**
   * Beyond the interval numbers stay as they are. With `identity` slopes at its ends are 1; with `circular` they are
   * equal, as on a circle that is cut open there; with `linear` they are any, and the line beyond has them.
   * Default: `identity`.
   */
  readonly tails?: SplineTails;
  /** The least width of a bin, as a share of the interval. Default: 0.001. */
  readonly minWidth?: number;
  /** The least height of a bin, as a share of the interval. Default: 0.001. */
  readonly minHeight?: number;
  /** The least slope at an edge of bins, below 1. Default: 0.001. */
  readonly minSlope?: number;
  /**
   * λ: parameters u of widths and heights are taken as u/(1 + 2|u|/λ), and slopes are exponentials of u/(1 + |u|/λ)
   * in place of a softplus, as in zuko with λ = −log(slope). Default: none of it.
   */
  readonly softClamp?: number;
}

const optionNames = [
  ...['bins', 'bound', 'tails', 'minWidth', 'minHeight', 'minSlope', 'softClamp'],
];

/**
 * A spline of quotients of quadratic polynomials, increasing and once continuously differentiable, with widths and
 * heights of bins by a softmax, and slopes at their edges. Zeros as parameters are the identity.
 *
 * A number has K widths, then K heights, then slopes at the edges, from the left: K − 1 inner ones with `identity`
 * tails, K with `circular`, the first for both ends, and K + 1 with `linear`.
 *
 * @example
 * const transformer = new RationalQuadraticSpline({ bins: 8, bound: 4 });
 * new TransformerCoupling({ channels: 2, transformer, hidden: 64, ndims: 0 });
 */
export class RationalQuadraticSpline extends Spline {
  static readonly type: string = 'RationalQuadraticSpline';
  readonly tails: SplineTails;
  readonly minWidth: number;
  readonly minHeight: number;
  readonly minSlope: number;
  readonly softClamp: number | undefined;

  /** @throws ValueError for fewer than 2 bins, widths or heights that cannot be, or a bound that is not positive. */
  constructor(options: RationalQuadraticSplineOptions = {}) {
    const op = 'RationalQuadraticSpline';
    requireModuleOptions(op, options, optionNames);
    super(op, options);
    const { tails = 'identity', softClamp } = options;
    const { minWidth = 1e-3, minHeight = 1e-3, minSlope = 1e-3 } = options;
    requireOneOf(op, 'tails', tails, tailNames);
    this.tails = tails;
    this.minWidth = requireLeast(op, 'minWidth', minWidth, this.bins);
    this.minHeight = requireLeast(op, 'minHeight', minHeight, this.bins);
    requireAtLeast(op, 'minSlope', minSlope, 0);
    requireBetween(op, 'minSlope', minSlope, undefined, 1);
    this.minSlope = minSlope;
    if (softClamp !== undefined) requireBetween(op, 'softClamp', softClamp, 0);
    this.softClamp = softClamp;
  }

  get options() {
    const { bins, interval, tails, minWidth, minHeight, minSlope, softClamp } = this;
    const sizes = { bins, bound: interval, tails, minWidth, minHeight, minSlope };
    return softClamp === undefined ? sizes : { ...sizes, softClamp };
  }

  get size() {
    return (
      2 * this.bins +
      { identity: this.bins - 1, circular: this.bins, linear: this.bins + 1 }[this.tails]
    );
  }

  override apply(x: Tensor, p: Tensor) {
    return this.#fused(p, 'forward')?.apply(x) ?? super.apply(x, p);
  }

  override invert(y: Tensor, p: Tensor) {
    const made = this.#fused(p, 'inverse')?.apply(y);
    return made ? { x: made.y, logdet: made.logdet } : super.invert(y, p);
  }

  override applyBackward(y: Tensor, p: Tensor, dy: Tensor, dlogdet?: Tensor) {
    const made = this.#fused(p, 'forward')?.backward(y, dy, dlogdet);
    return made ?? super.applyBackward(y, p, dy, dlogdet);
  }

  override invertBackward(x: Tensor, p: Tensor, dx: Tensor, dlogdet?: Tensor) {
    const made = this.#fused(p, 'inverse')?.backward(x, dx, dlogdet);
    return made ? { y: made.x, dy: made.dx, dp: made.dp } : super.invertBackward(x, p, dx, dlogdet);
  }

  protected get slopedTails() {
    return this.tails === 'linear';
  }

  protected binsOf(p: Tensor): Bins {
    const { bins, interval } = this;
    const clamps = [0, 1].map((i) => this.#clamped(slice(p, 1, i * bins, bins), 2));
    const x = partition(clamps[0]!.u, interval, this.minWidth);
    const y = partition(clamps[1]!.u, interval, this.minHeight);
    const slopes = this.#slopes(slice(p, 1, 2 * bins, this.size - 2 * bins));
    return {
      values: [x.edges, x.widths, y.edges, y.widths, ...slopes.values],
      gradient: ([dx, dw, dy, dh, da, db]) =>
        concat(
          [
            mul(x.gradient(dx!, dw!), clamps[0]!.slope),
            mul(y.gradient(dy!, dh!), clamps[1]!.slope),
            slopes.gradient(da!, db!),
          ],
          1,
        ),
      tangent: (dp) => {
        const [du, dv] = [0, 1].map((i) => mul(slice(dp, 1, i * bins, bins), clamps[i]!.slope));
        const [horizontal, vertical] = [x.tangent(du!), y.tangent(dv!)];
        return [
          ...[horizontal.edges, horizontal.widths, vertical.edges, vertical.widths],
          ...slopes.tangent(slice(dp, 1, 2 * bins, this.size - 2 * bins)),
        ];
      },
    };
  }

  protected piece(values: readonly Tensor[], x: Tensor) {
    const { top, bottom, steepness, delta, y } = curve(values, x);
    return { y: y(top, bottom), logSlope: logSlopeOf(delta, steepness, bottom) };
  }

  protected solve(values: readonly Tensor[], y: Tensor): Tensor {
    const [x0, w, y0, h, a, b] = values as Six;
    const delta = div(h, w);
    const zeta = sub(y, y0);
    const bent = mul(zeta, sub(add(a, b), affine(delta, 2)));
    const [first, half] = [add(bent, mul(h, sub(delta, a))), sub(mul(h, a), bent)];
    const constant = mul(delta, zeta);
    // The discriminant is not negative but for rounding.
    const root = sqrt(relu(add(square(half), affine(mul(first, constant), 4))));
    const theta = div(affine(constant, 2), add(half, root));
    return add(x0, mul(w, minimum(theta, ones([1, 1, 1], theta))));
  }

  protected differentiate(values: readonly Tensor[], x: Tensor): Piece {
    const [, w, , h, a, b] = values as Six;
    const { theta, rest, u, top, bottom, steepness, delta, y } = curve(values, x);
    const logSlope = logSlopeOf(delta, steepness, bottom);
    const slope = exp(logSlope);
    const share = div(top, bottom);
    const perBottom = reciprocal(bottom);
    const [curvature, turn] = [sub(add(a, b), affine(delta, 2)), affine(theta, -2, 1)];
    const scaled = mul(h, perBottom);
    // By δ, at equal θ and H.
    const yByDelta = mul(scaled, sub(square(theta), mul(share, affine(u, -2, 1))));
    const logByDelta = add(
      affine(reciprocal(delta), 2),
      affine(sub(div(u, steepness), mul(affine(u, -2, 1), perBottom)), 2),
    );
    // By θ: 2(bθ − a(1 − θ) + δ(1 − 2θ))/M − 2(a + b − 2δ)(1 − 2θ)/D.
    const steeper = add(sub(mul(b, theta), mul(a, rest)), mul(delta, turn));
    const logByTheta = affine(
      sub(div(steeper, steepness), mul(mul(curvature, turn), perBottom)),
      2,
    );
    const bend = div(logByTheta, w);
    const common = affine(mul(u, perBottom), -2);
    const perWidth = div(delta, w);
    return {
      y: y(top, bottom),
      slope,
      logSlope,
      bend,
      dy: [
        neg(slope),
        neg(add(mul(slope, theta), mul(yByDelta, perWidth))),
        ones([1, 1, 1], x),
        add(share, div(yByDelta, w)),
        mul(mul(scaled, u), affine(share, -1, 1)),
        neg(mul(mul(scaled, u), share)),
      ],
      dlogSlope: [
        neg(bend),
        neg(add(mul(bend, theta), mul(logByDelta, perWidth))),
        undefined,
        div(logByDelta, w),
        add(div(square(rest), steepness), common),
        add(div(square(theta), steepness), common),
      ],
    };
  }

  /** The map in one pass, on a backend that has it. */
  #fused(p: Tensor, direction: 'forward' | 'inverse'): FusedSpline | undefined {
    const { bins, interval, tails, minWidth, minHeight, minSlope, softClamp } = this;
    const [low, high] = interval;
    const form = { bins, low, high, tails, minWidth, minHeight, minSlope, softClamp };
    return fusedSpline(p, { ...form, parameters: this.size }, direction);
  }

  /** u softly clamped, and the derivative of that. */
  #clamped(u: Tensor, strength: 1 | 2): { u: Tensor; slope: Tensor } {
    if (this.softClamp === undefined) return { u, slope: ones([1, 1, 1], u) };
    const factor = reciprocal(affine(abs(u), strength / this.softClamp, 1));
    return { u: mul(u, factor), slope: square(factor) };
  }

  /** The slopes at the left and the right edge of each bin, for their parameters. */
  #slopes(p: Tensor) {
    const { minSlope, softClamp } = this;
    const room = 1 - minSlope;
    // The softplus of this is what is missing to a slope of 1.
    const offset = Math.log(Math.expm1(room));
    const clamp = this.#clamped(p, 1);
    const grown = softClamp === undefined ? undefined : affine(exp(clamp.u), room);
    const values = affine(grown ?? softplus(affine(p, 1, offset)), 1, minSlope);
    const growth = grown ? mul(grown, clamp.slope) : sigmoid(affine(p, 1, offset));
    const { edges, gradient } = this.#edgesOf(p.shape[1]!);
    const sides = (t: Tensor, end: 0 | 1) => {
      const all = edges(t, end);
      return [slice(all, 1, 0, this.bins), slice(all, 1, 1, this.bins)] as const;
    };
    return {
      values: sides(values, 1),
      gradient: (dleft: Tensor, dright: Tensor) => {
        const [n, , m] = dleft.shape;
        const none = zeros([n!, 1, m!], dleft);
        return mul(growth, gradient(add(concat([dleft, none], 1), concat([none, dright], 1))));
      },
      tangent: (dp: Tensor) => sides(mul(growth, dp), 0),
    };
  }

  /** From parameters to all edges, with ones (or zeros, of their derivatives) at the ends, and the adjoint. */
  #edgesOf(count: number) {
    const { tails, bins } = this;
    if (tails === 'linear') return { edges: (t: Tensor) => t, gradient: (d: Tensor) => d };
    if (tails === 'circular') {
      return {
        edges: (t: Tensor) => concat([t, slice(t, 1, 0, 1)], 1),
        gradient: (d: Tensor) => {
          const first = add(slice(d, 1, 0, 1), slice(d, 1, bins, 1));
          return concat([first, slice(d, 1, 1, bins - 1)], 1);
        },
      };
    }
    return {
      edges: (t: Tensor, end: 0 | 1) => {
        const [n, , m] = t.shape;
        const one = affine(ones([n!, 1, m!], t), end);
        return concat([one, t, one], 1);
      },
      gradient: (d: Tensor) => slice(d, 1, 1, count),
    };
  }
}

type Six = [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];

/** What y = Y + H N/D and its slope δ²M/D² are made of. */
function curve(values: readonly Tensor[], x: Tensor) {
  const [x0, w, y0, h, a, b] = values as Six;
  const delta = div(h, w);
  // Beyond 1 by rounding slopes may be negative, where neighbours differ much.
  const theta = minimum(div(sub(x, x0), w), ones([1, 1, 1], x));
  const rest = affine(theta, -1, 1);
  const u = mul(theta, rest);
  const top = add(mul(delta, square(theta)), mul(a, u));
  const bottom = add(delta, mul(sub(add(a, b), affine(delta, 2)), u));
  const ends = add(mul(b, square(theta)), mul(a, square(rest)));
  const steepness = add(ends, affine(mul(delta, u), 2));
  const y = (n: Tensor, d: Tensor) => add(y0, mul(h, div(n, d)));
  return { theta, rest, u, top, bottom, steepness, delta, y };
}

/** log δ²M/D² */
function logSlopeOf(delta: Tensor, steepness: Tensor, bottom: Tensor): Tensor {
  return add(log(steepness), affine(sub(log(delta), log(bottom)), 2));
}
