/**
 * Planar flows (Rezende and Mohamed, "Variational inference with normalizing flows", 2015). Mathematics:
 * docs/math/residual/planar.md
 */
import {
  add,
  affine,
  div,
  leakyRelu,
  log,
  mul,
  ones,
  RandomStream,
  reluGrad,
  requireOneOf,
  type Shape,
  sigmoid,
  sizeOf,
  softplus,
  sub,
  sum,
  sumPerSample,
  sumSquares,
  type Tensor,
  tanh,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { perSample, sumOfTerms } from '../core/idioms.ts';
import { requireSamples, type SampleOptions, sampleShape } from '../core/sample-shape.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { type Point, SolvedBijection } from './solved-bijection.ts';
import { determinantOf, tanhRoot, tanhSlope } from './tanh-root.ts';

/** Options of `Planar`. */
export interface PlanarOptions extends SampleOptions {
  /** h; the leaky rectifier has slope 0.2 below zero. Default: `tanh`. */
  readonly activation?: 'tanh' | 'leakyRelu';
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** û, 1 + k for its product k with w, and what they are made of. */
interface Direction {
  readonly u: Tensor;
  readonly rise: Tensor;
  readonly product: Tensor;
  readonly size: Tensor;
  /** û = u + shift·w */
  readonly shift: Tensor;
}

/** With numbers per sample, [N]: h(a), h′(a), and 1 + k h′(a), the determinant. */
interface PlanarPoint extends Point, Direction {
  readonly h: Tensor;
  readonly slope: Tensor;
  readonly determinant: Tensor;
}

/** The slope of the leaky rectifier below zero. */
const leak = 0.2;

/**
 * y = x + û·h(⟨w, x⟩ + b): samples move along û, by how far they lie along w. û = u + (softplus(−⟨w, u⟩) − 1)·w/‖w‖²
 * makes ⟨w, û⟩ = softplus(⟨w, u⟩) − 1 > −1, so that the map is increasing along w, and invertible;
 * logdet = log(1 + ⟨w, û⟩h′). The inverse solves for one number per sample, to rounding.
 *
 * @example
 * const flow = new Sequential(Array.from({ length: 8 }, () => new Planar({ channels: 2, random })));
 */
export class Planar extends SolvedBijection<PlanarPoint> {
  static readonly type: string = 'Planar';
  readonly options: { channels: number; size: Shape; activation: 'tanh' | 'leakyRelu' };
  readonly u: Parameter;
  readonly w: Parameter;
  readonly b: Parameter;

  /** @throws ValueError for channels or sizes that are not whole and positive, or another activation. */
  constructor(options: PlanarOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('Planar', options, ['channels', 'size', 'activation']);
    const { channels, size = [], activation = 'tanh', random = new RandomStream(0) } = options;
    const shape = sampleShape('Planar', options);
    requireOneOf('Planar', 'activation', activation, ['tanh', 'leakyRelu']);
    this.options = { channels, size: [...size], activation };
    const [us, ws] = [Math.SQRT2, Math.sqrt(2 / sizeOf(shape))];
    this.u = new Parameter('u', random.uniform(shape, -us, us));
    this.w = new Parameter('w', random.uniform(shape, -ws, ws));
    this.b = new Parameter('b', zeros([1]));
    building.complete();
  }

  protected at(x: Tensor): PlanarPoint {
    const direction = this.#direction();
    const a = add(sumPerSample(mul(x, this.w.data)), this.b.data);
    const h = this.#smooth ? tanh(a) : leakyRelu(a, leak);
    const slope = this.#smooth ? tanhSlope(h) : leakySlope(a);
    const determinant = determinantOf(direction.rise, slope);
    const y = add(x, mul(perSample(h, x), direction.u));
    return { ...direction, x, y, h, slope, determinant, logdet: () => log(determinant) };
  }

  protected root(y: Tensor): Tensor {
    const { rise, u } = this.#direction();
    const c = add(sumPerSample(mul(y, this.w.data)), this.b.data);
    const h = this.#smooth
      ? tanh(tanhRoot(rise, c))
      : leakyRelu(div(c, determinantOf(rise, leakySlope(c))), leak);
    return sub(y, mul(perSample(h, y), u));
  }

  protected pull(p: PlanarPoint, dy: Tensor | undefined, dlogdet: Tensor | undefined): Tensor {
    const { x, h, slope, determinant, u } = p;
    const w = this.w.data;
    const bend = dlogdet && this.#bend(p);
    const da = sumOfTerms(
      h,
      dy && mul(slope, sumPerSample(mul(dy, u))),
      bend && mul(bend, dlogdet),
    );
    const du = dy && sum(mul(perSample(h, x), dy), { axes: [0] });
    const dk = dlogdet && sum(div(mul(dlogdet, slope), determinant));
    this.#accumulate(p, du, dk, sum(mul(perSample(da, x), x), { axes: [0] }));
    this.b.accumulateGrad(sum(da).reshape([1]));
    const along = mul(perSample(da, x), w);
    return dy ? add(dy, along) : along;
  }

  protected push(p: PlanarPoint, tangent: Tangent): Tensor | undefined {
    const { x, u, h, slope } = p;
    const { da, du } = this.#tangent(p, tangent);
    if (!da && !du) return tangent.x;
    return sumOfTerms(
      x,
      tangent.x,
      da && mul(perSample(mul(slope, da), x), u),
      du && mul(perSample(h, x), du),
    );
  }

  protected pushLogdet(p: PlanarPoint, tangent: Tangent): Tensor | undefined {
    const { da, dk } = this.#tangent(p, tangent);
    const bend = this.#bend(p);
    return sumOfTerms(p.h, dk && div(mul(dk, p.slope), p.determinant), bend && da && mul(bend, da));
  }

  protected solve(p: PlanarPoint, v: Tensor): Tensor {
    return this.#without(p, v, this.w.data, p.u);
  }

  protected solveTransposed(p: PlanarPoint, v: Tensor): Tensor {
    return this.#without(p, v, p.u, this.w.data);
  }

  protected override applyShape(x: Shape): Shape {
    return requireSamples('Planar', x, this.w.shape);
  }

  get #smooth(): boolean {
    return this.options.activation === 'tanh';
  }

  #direction(): Direction {
    const [u, w] = [this.u.data, this.w.data];
    const product = sum(mul(u, w));
    const size = sumSquares(w);
    const shift = div(affine(softplus(affine(product, -1)), 1, -1), size);
    const rise = softplus(product);
    return { u: add(u, mul(shift, w)), rise, product, size, shift };
  }

  /** ∂ log(1 + k h′)/∂a; none for straight pieces. */
  #bend({ rise, h, slope, determinant }: PlanarPoint): Tensor | undefined {
    return this.#smooth ? div(mul(affine(rise, -2, 2), mul(h, slope)), determinant) : undefined;
  }

  /** v − h′⟨along, v⟩/(1 + k h′)·by */
  #without({ slope, determinant }: PlanarPoint, v: Tensor, along: Tensor, by: Tensor): Tensor {
    const length = div(mul(slope, sumPerSample(mul(v, along))), determinant);
    return sub(v, mul(perSample(length, v), by));
  }

  /** The gradients of u and w for those of û, k, and w itself. */
  #accumulate(p: Direction, du: Tensor | undefined, dk: Tensor | undefined, dw: Tensor): void {
    const { product, size, shift } = p;
    const [u, w] = [this.u.data, this.w.data];
    // û = u + shift·w, shift = (k − product)/size, k = softplus(product) − 1
    const dshift = du && div(sum(mul(du, w)), size);
    const dproduct = sumOfTerms(
      product,
      dshift && mul(dshift, affine(sigmoid(product), 1, -1)),
      dk && mul(dk, sigmoid(product)),
    );
    this.u.accumulateGrad(sumOfTerms(u, du, mul(dproduct, w)));
    const terms = [du && mul(shift, du), dshift && mul(affine(mul(dshift, shift), -2), w)];
    this.w.accumulateGrad(sumOfTerms(w, dw, mul(dproduct, u), ...terms));
  }

  /** Directions of a per sample, of û and of k; undefined for what does not move. */
  #tangent(p: PlanarPoint, { x: dx, parameters }: Tangent) {
    const [u, w] = [this.u.data, this.w.data];
    const [du0, dw, db] = [this.u, this.w, this.b].map((q) => parameters?.get(q));
    const moved = dx || dw || db;
    const da =
      moved &&
      sumOfTerms(
        p.h,
        dx && sumPerSample(mul(dx, w)),
        dw && sumPerSample(mul(p.x, dw)),
        db && add(affine(p.h, 0), db),
      );
    if (!du0 && !dw) return { da };
    const dproduct = sumOfTerms(p.product, du0 && sum(mul(du0, w)), dw && sum(mul(u, dw)));
    const dsize = dw && affine(sum(mul(w, dw)), 2);
    const dk = mul(sigmoid(p.product), dproduct);
    const dshift = div(sub(sub(dk, dproduct), dsize ? mul(p.shift, dsize) : affine(dk, 0)), p.size);
    const du = sumOfTerms(u, du0, mul(dshift, w), dw && mul(p.shift, dw));
    return { da, du, dk };
  }
}

/** 1 above zero, 0.2 below. */
function leakySlope(a: Tensor): Tensor {
  return affine(reluGrad(a, ones(a.shape, a)), 1 - leak, leak);
}
