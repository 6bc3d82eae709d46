/**
 * Radial flows (Rezende and Mohamed, "Variational inference with normalizing flows", 2015). Mathematics:
 * docs/math/residual/radial.md
 */
import {
  abs,
  add,
  affine,
  div,
  full,
  log,
  maximum,
  mul,
  neg,
  RandomStream,
  reluGrad,
  type Shape,
  sigmoid,
  sign,
  sizeOf,
  softplus,
  sqrt,
  square,
  sub,
  sum,
  sumPerSample,
  type Tensor,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import { requireSamples, type SampleOptions, sampleShape } from '../core/sample-shape.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { type Point, SolvedBijection } from './solved-bijection.ts';

/** Options of `Radial`. */
export interface RadialOptions extends SampleOptions {
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** With numbers per sample, [N]. */
interface RadialPoint extends Point {
  /** |x − center| */
  readonly r: Tensor;
  /** (x − center)/r */
  readonly ray: Tensor;
  /** 1/(|α| + r) */
  readonly g: Tensor;
  /** How much longer the distance becomes across the ray, 1 + βg, and along it, 1 + |α|βg². */
  readonly across: Tensor;
  readonly along: Tensor;
  readonly alpha: Tensor;
  readonly beta: Tensor;
}

/** Distances below it count as it, so that there is a direction. */
const leastDistance = 1e-30;

/**
 * y = x + β̂/(|α| + r)·(x − center) with r = |x − center|: samples move away from the center or towards it.
 * β̂ = softplus(β) − |α| > −|α|, so that distances keep their order, and the map is invertible;
 * logdet = (D − 1) log(1 + β̂/(|α| + r)) + log(1 + |α|β̂/(|α| + r)²) for samples of D numbers. The inverse solves a
 * quadratic equation for r.
 *
 * @example
 * const layer = new Radial({ channels: 2, random });
 */
export class Radial extends SolvedBijection<RadialPoint> {
  static readonly type: string = 'Radial';
  readonly options: { channels: number; size: Shape };
  readonly center: Parameter;
  readonly alpha: Parameter;
  readonly beta: Parameter;

  /** @throws ValueError for channels or sizes that are not whole and positive. */
  constructor(options: RadialOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('Radial', options, ['channels', 'size']);
    const { channels, size = [], random = new RandomStream(0) } = options;
    const shape = sampleShape('Radial', options);
    this.options = { channels, size: [...size] };
    const limit = 1 / sizeOf(shape);
    this.beta = new Parameter('beta', random.uniform([1], -limit - 1, limit - 1));
    this.alpha = new Parameter('alpha', random.uniform([1], -limit, limit));
    this.center = new Parameter('center', random.normal(shape));
    building.complete();
  }

  protected at(x: Tensor): RadialPoint {
    const { alpha, beta } = this.#constrained();
    const away = sub(x, this.center.data);
    const squares = sqrt(sumPerSample(square(away)));
    const r = maximum(squares, full([], leastDistance, squares));
    const g = div(full([], 1, r), add(r, alpha));
    const pushed = mul(beta, g);
    const across = affine(pushed, 1, 1);
    const along = affine(mul(mul(alpha, pushed), g), 1, 1);
    const logdet = () => add(affine(log(across), this.center.size - 1), log(along));
    const y = add(x, mul(perSample(pushed, x), away));
    return { x, y, logdet, r, ray: div(away, perSample(r, x)), g, across, along, alpha, beta };
  }

  protected root(y: Tensor): Tensor {
    const { alpha, beta } = this.#constrained();
    const away = sub(y, this.center.data);
    const distance = sqrt(sumPerSample(square(away)));
    // r² + q r − |α|·distance = 0 with q = |α| + β − distance, without a difference of large numbers.
    const q = sub(add(alpha, beta), distance);
    const product = mul(alpha, distance);
    const root = sqrt(add(square(q), affine(product, 4)));
    const large = affine(add(abs(q), root), 0.5);
    const small = div(product, maximum(large, full([], leastDistance, large)));
    const r = add(reluGrad(q, small), sub(large, reluGrad(q, large)));
    const shrink = div(add(alpha, r), add(add(alpha, r), beta));
    return add(this.center.data, mul(perSample(shrink, y), away));
  }

  protected pull(p: RadialPoint, dy: Tensor | undefined, dlogdet: Tensor | undefined): Tensor {
    const { x, ray, r, g, beta } = p;
    const slopes = dlogdet && this.#logdetSlopes(p);
    const back = dy && this.#scaled(p, dy, p.across, p.along);
    const outwards = slopes && mul(perSample(mul(slopes.r, dlogdet), x), ray);
    const dx = sumOfTerms(x, back, outwards);
    this.center.accumulateGrad(sum(dy ? sub(dy, dx) : neg(dx), { axes: [0] }));
    // y = x + βg·r·ray
    const towards = dy && mul(mul(sumPerSample(mul(dy, ray)), r), g);
    const dbeta = sumOfTerms(r, towards, slopes && mul(slopes.beta, dlogdet));
    const dalpha = sumOfTerms(
      r,
      towards && neg(mul(mul(towards, g), beta)),
      slopes && mul(slopes.alpha, dlogdet),
    );
    const total = sum(dbeta).reshape([1]);
    this.beta.accumulateGrad(mul(total, sigmoid(this.beta.data)));
    this.alpha.accumulateGrad(mul(sub(sum(dalpha).reshape([1]), total), sign(this.alpha.data)));
    return dx;
  }

  protected push(p: RadialPoint, tangent: Tangent): Tensor | undefined {
    const { x, ray, r, g, beta } = p;
    const { away, alpha, beta: dbeta } = this.#tangent(p, tangent);
    const stretched = away && sub(this.#scaled(p, away, p.across, p.along), away);
    const reach = (d: Tensor | undefined, factor: Tensor) =>
      d && mul(perSample(mul(mul(factor, d), r), x), ray);
    const terms = [reach(dbeta, g), reach(alpha, neg(mul(mul(g, g), beta)))];
    return sumOfTerms(x, tangent.x, stretched, ...terms);
  }

  protected pushLogdet(p: RadialPoint, tangent: Tangent): Tensor | undefined {
    const { away, alpha, beta } = this.#tangent(p, tangent);
    const slopes = this.#logdetSlopes(p);
    return sumOfTerms(
      p.r,
      away && mul(slopes.r, sumPerSample(mul(away, p.ray))),
      alpha && mul(slopes.alpha, alpha),
      beta && mul(slopes.beta, beta),
    );
  }

  protected solve(p: RadialPoint, v: Tensor): Tensor {
    const one = full([], 1, p.r);
    return this.#scaled(p, v, div(one, p.across), div(one, p.along));
  }

  /** The Jacobian is symmetric. */
  protected solveTransposed(p: RadialPoint, v: Tensor): Tensor {
    return this.solve(p, v);
  }

  protected override applyShape(x: Shape): Shape {
    return requireSamples('Radial', x, this.center.shape);
  }

  /** |α| and β̂ */
  #constrained() {
    const alpha = abs(this.alpha.data);
    return { alpha, beta: sub(softplus(this.beta.data), alpha) };
  }

  /** v, times a number across the ray and another along it. */
  #scaled({ ray }: RadialPoint, v: Tensor, across: Tensor, along: Tensor): Tensor {
    const length = mul(sub(along, across), sumPerSample(mul(v, ray)));
    return add(mul(perSample(across, v), v), mul(perSample(length, v), ray));
  }

  /** The derivatives of the log-determinant by r, |α| and β̂. */
  #logdetSlopes({ r, g, across, along, alpha, beta }: RadialPoint) {
    const rest = this.center.size - 1;
    const [g2, pushed] = [square(g), mul(beta, g)];
    const byR = div(affine(mul(pushed, g), -rest), across);
    const cubed = mul(pushed, g2);
    return {
      r: add(byR, div(affine(mul(alpha, cubed), -2), along)),
      alpha: add(byR, div(mul(sub(r, alpha), cubed), along)),
      beta: add(div(affine(g, rest), across), div(mul(alpha, g2), along)),
    };
  }

  /** Directions of x − center, |α| and β̂; undefined for what does not move. */
  #tangent({ x }: RadialPoint, { x: dx, parameters }: Tangent) {
    const [dcenter, dalpha, dbeta] = [this.center, this.alpha, this.beta].map((q) =>
      parameters?.get(q),
    );
    const alpha = dalpha && mul(dalpha, sign(this.alpha.data));
    const moved = dbeta && mul(dbeta, sigmoid(this.beta.data));
    const beta = alpha ? sub(moved ?? affine(alpha, 0), alpha) : moved;
    const away = dcenter ? sub(dx ?? affine(x, 0), dcenter) : dx;
    return { away, alpha, beta };
  }
}
