/** Nearest-neighbour upsampling, for chains and U-Nets. Mathematics: docs/math/conditioners/pooling.md */
import { formatShape, type Shape, ShapeError, type Tensor } from '@invnet/tensor';
import { requireKernel, requireModuleOptions } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { repeatNumbers, sumWindows } from './resampling.ts';

/** Options of `Upsample`. */
export interface UpsampleOptions {
  /** How many times each number stands along each axis. Default: 2. */
  readonly factor?: number;
}

/**
 * Each number `factor` times along every spatial axis, in 1D, 2D and 3D. A convolution behind it makes the
 * learned upsampling that leaves no checkerboard; `ConvTranspose` is the other one.
 *
 * @example chain(new Upsample(), new Conv({ inChannels: 8, outChannels: 4 }))
 */
export class Upsample extends Conditioner<undefined> {
  static readonly type: string = 'Upsample';
  readonly options: Required<UpsampleOptions>;

  /** @throws ValueError for a factor below 1. */
  constructor(options: UpsampleOptions = {}) {
    super();
    requireModuleOptions('Upsample', options, ['factor']);
    const { factor = 2 } = options;
    requireKernel('Upsample', 'factor', factor);
    this.options = { factor };
  }

  protected apply(x: Tensor) {
    return { y: repeatNumbers(x, this.options.factor), saved: undefined };
  }

  protected applyBackward(dy: Tensor) {
    return { dx: sumWindows(dy, this.options.factor) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { factor } = this.options;
    return { y: repeatNumbers(x, factor), dy: dx && repeatNumbers(dx, factor) };
  }

  protected applyShape(x: Shape): Shape {
    if (x.length >= 3 && x.length <= 5) {
      return [...x.slice(0, 2), ...x.slice(2).map((s) => s * this.options.factor)];
    }
    throw new ShapeError(
      `Upsample: got ${formatShape(x)}; expected [N, C, …] with one to three spatial axes.`,
    );
  }
}
