/**
 * The symmetric convolution of hyperbolic networks (Lensink, Peters and Haber, "Fully hyperbolic
 * convolutional neural networks", 2019). Mathematics: docs/math/couplings/hyperbolic-layer.md
 */
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  neg,
  RandomStream,
  reluGrad,
  type Shape,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import {
  requireDimensions,
  requireModuleOptions,
  requireOddKernel,
  requireSizes,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { requireImage } from './conv-layer.ts';

/** Options of `SymmetricBlock`. */
export interface SymmetricBlockOptions {
  readonly channels: number;
  /** Channels between the two convolutions. Default: `channels`. */
  readonly hidden?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size. Default: 3. */
  readonly kernel?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The names of the options. */
export const symmetricBlockOptions = ['channels', 'hidden', 'ndims', 'kernel'];

/** The input and the hidden layer. */
interface SavedSymmetricBlock {
  readonly x: Tensor;
  readonly h: Tensor;
}

/**
 * g(x) = −Kᵀ relu(K x + b), with one convolution K and its adjoint, drawn with ‖K‖ near ½. Its Jacobian
 * −Kᵀ D K is symmetric and negative semi-definite, so that leapfrog steps of one K do not grow.
 *
 * @example
 * const block = new SymmetricBlock({ channels: 4, hidden: 16 });
 * const { y, saved } = block.forward(x); // x and y [N, 4, H, W]
 */
export class SymmetricBlock extends Conditioner<SavedSymmetricBlock> {
  static readonly type: string = 'SymmetricBlock';
  readonly options: Required<Omit<SymmetricBlockOptions, 'random'>>;
  readonly w: Parameter;
  readonly b: Parameter;
  readonly #geometry: { readonly padding: number };

  /** @throws ValueError for channels below 1, an even kernel, or ndims below 1. */
  constructor(options: SymmetricBlockOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('SymmetricBlock', options, symmetricBlockOptions);
    const { channels, hidden = channels, ndims = 2, kernel = 3 } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('SymmetricBlock', { channels, hidden });
    requireDimensions('SymmetricBlock', ndims, 1);
    requireOddKernel('SymmetricBlock', 'kernel', kernel);
    this.options = { channels, hidden, ndims, kernel };
    // ‖K‖ near ½, far below the bound of one leapfrog step, 2: steps of many different K magnify what a
    // single one does not. σ(√rows + √columns) is the norm of a random matrix, here at each frequency.
    const deviation = 0.5 / ((Math.sqrt(channels) + Math.sqrt(hidden)) * kernel ** (ndims / 2));
    const shape = [hidden, channels, ...new Array<number>(ndims).fill(kernel)];
    this.w = new Parameter('w', random.normal(shape, deviation));
    this.b = new Parameter('b', zeros([hidden]));
    this.#geometry = { padding: (kernel - 1) / 2 };
    building.complete();
  }

  protected apply(x: Tensor) {
    const h = this.#hidden(x);
    return { y: neg(this.#adjoint(h, x)), saved: { x, h } };
  }

  protected applyBackward(dy: Tensor, { x, h }: SavedSymmetricBlock) {
    const { w, b } = this;
    const da = reluGrad(h, neg(conv(dy, w.data, this.#geometry)));
    if (!w.frozen) {
      w.accumulateGrad(convFilterGrad(dy, h, w.shape, this.#geometry), -1);
      w.takeGrad(convFilterGrad(x, da, w.shape, this.#geometry));
    }
    if (!b.frozen) b.takeGrad(channelSums(da));
    return { dx: this.#adjoint(da, x) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const dw = tangent.parameters?.get(this.w);
    const db = tangent.parameters?.get(this.b);
    const h = this.#hidden(x);
    const da = sumOfTerms(
      h,
      tangent.x && conv(tangent.x, this.w.data, this.#geometry),
      dw && conv(x, dw, this.#geometry),
    );
    const dh = reluGrad(h, db ? add(da, alongChannels(db, h)) : da);
    const moved = sumOfTerms(
      x,
      this.#adjoint(dh, x),
      dw && convInputGrad(h, dw, x.shape, this.#geometry),
    );
    return { y: neg(this.#adjoint(h, x)), dy: neg(moved) };
  }

  protected applyShape(x: Shape): Shape {
    return requireImage('SymmetricBlock', x, this.options.channels, this.options.ndims);
  }

  #hidden(x: Tensor): Tensor {
    return conv(x, this.w.data, { ...this.#geometry, bias: this.b.data, activation: 'relu' });
  }

  /** Kᵀh, of the shape of x. */
  #adjoint(h: Tensor, x: Tensor): Tensor {
    return convInputGrad(h, this.w.data, x.shape, this.#geometry);
  }
}
