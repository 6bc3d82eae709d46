/** Pooling, for chains and U-Nets. Mathematics: docs/math/conditioners/pooling.md */
import {
  add,
  affine,
  div,
  formatShape,
  mean,
  mul,
  type Shape,
  ShapeError,
  sign,
  square,
  sub,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireKernel, requireModuleOptions } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import {
  cropped,
  maxOfWindows,
  padded,
  repeatNumbers,
  sumWindows,
  windowsIn,
} from './resampling.ts';

/** Options of `MaxPool` and `AveragePool`. */
export interface PoolOptions {
  /** Size of a window along each axis, and the distance to the next. Default: 2. */
  readonly factor?: number;
}

/** Where the largest numbers are, as shares of 1 in each window, and the shape of x. */
interface SavedMaxPool {
  readonly shares: Tensor;
  readonly shape: Shape;
}

/**
 * The largest number of each window of `factor` neighbours along every spatial axis, in 1D, 2D and 3D. As in
 * PyTorch, what is left over behind the last window is left out. Equal largest numbers share the gradient.
 *
 * @example new MaxPool().forward(x) // x [N, C, 7, 6], y [N, C, 3, 3]
 */
export class MaxPool extends Conditioner<SavedMaxPool> {
  static readonly type: string = 'MaxPool';
  readonly options: Required<PoolOptions>;

  /** @throws ValueError for a factor below 1. */
  constructor(options: PoolOptions = {}) {
    super();
    this.options = filled('MaxPool', options);
  }

  protected apply(x: Tensor) {
    const { y, shares } = this.#pool(x);
    return { y, saved: { shares, shape: x.shape } };
  }

  protected applyBackward(dy: Tensor, { shares, shape }: SavedMaxPool) {
    const dx = mul(shares, repeatNumbers(dy, this.options.factor));
    return { dx: padded(dx, shape.slice(2)) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { factor } = this.options;
    const { y, shares } = this.#pool(x);
    return { y, dy: dx && sumWindows(mul(padded(shares, x.shape.slice(2)), dx), factor) };
  }

  protected applyShape(x: Shape): Shape {
    return pooled('MaxPool', x, this.options.factor);
  }

  /** The result; and where in its window it is, 1 over the number of places that have it. */
  #pool(x: Tensor): { y: Tensor; shares: Tensor } {
    const { factor } = this.options;
    const y = maxOfWindows(x, factor);
    const largest = repeatNumbers(y, factor);
    const differs = square(sign(sub(cropped(x, largest.shape.slice(2)), largest)));
    const there = affine(differs, -1, 1);
    return { y, shares: div(there, repeatNumbers(sumWindows(there, factor), factor)) };
  }
}

/**
 * The mean of each window of `factor` neighbours along every spatial axis, as `MaxPool` otherwise.
 *
 * @example new AveragePool({ factor: 4 }).forward(x) // x [N, C, 8, 8], y [N, C, 2, 2]
 */
export class AveragePool extends Conditioner<Shape> {
  static readonly type: string = 'AveragePool';
  readonly options: Required<PoolOptions>;

  /** @throws ValueError for a factor below 1. */
  constructor(options: PoolOptions = {}) {
    super();
    this.options = filled('AveragePool', options);
  }

  protected apply(x: Tensor) {
    return { y: this.#average(x), saved: x.shape };
  }

  protected applyBackward(dy: Tensor, shape: Shape) {
    const { factor } = this.options;
    const dx = affine(repeatNumbers(dy, factor), factor ** (2 - dy.rank));
    return { dx: padded(dx, shape.slice(2)) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: this.#average(x), dy: dx && this.#average(dx) };
  }

  protected applyShape(x: Shape): Shape {
    return pooled('AveragePool', x, this.options.factor);
  }

  #average(x: Tensor): Tensor {
    const { factor } = this.options;
    return affine(sumWindows(x, factor), factor ** (2 - x.rank));
  }
}

/**
 * The mean over all positions: [N, C, …] to vectors [N, C]. Behind convolutions it makes a summary of images
 * of any size.
 *
 * @example chain(new Conv({ inChannels: 1, outChannels: 8 }), relu(), new GlobalAveragePool())
 */
export class GlobalAveragePool extends Conditioner<Shape> {
  static readonly type: string = 'GlobalAveragePool';
  readonly options = {};

  constructor(options: object = {}) {
    super();
    requireModuleOptions('GlobalAveragePool', options, []);
  }

  protected apply(x: Tensor) {
    return { y: overPositions(x), saved: x.shape };
  }

  protected applyBackward(dy: Tensor, shape: Shape) {
    const [n, c, ...size] = shape;
    const each = affine(dy, 1 / size.reduce((a, b) => a * b, 1));
    return { dx: add(zeros(shape, dy), each.reshape([n!, c!, ...size.map(() => 1)])) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: overPositions(x), dy: dx && overPositions(dx) };
  }

  protected applyShape(x: Shape): Shape {
    if (x.length >= 3 && x.length <= 5) return x.slice(0, 2);
    throw new ShapeError(
      `GlobalAveragePool: got ${formatShape(x)}; expected [N, C, …] with one to three spatial axes.`,
    );
  }
}

function filled(op: string, options: PoolOptions): Required<PoolOptions> {
  requireModuleOptions(op, options, ['factor']);
  const { factor = 2 } = options;
  requireKernel(op, 'factor', factor);
  return { factor };
}

function pooled(op: string, x: Shape, factor: number): Shape {
  return [...x.slice(0, 2), ...windowsIn(op, x, factor)];
}

function overPositions(x: Tensor): Tensor {
  return mean(x, { axes: x.shape.map((_, i) => i).slice(2) });
}
