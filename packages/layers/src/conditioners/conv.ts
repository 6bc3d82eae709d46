/** Convolutions as conditioners, for chains. Mathematics: docs/math/conditioners/chain.md */
import {
  formatShape,
  RandomStream,
  requireAtLeast,
  type Shape,
  ShapeError,
  type Tensor,
} from '@invnet/tensor';
import {
  requireDimensions,
  requireKernel,
  requireModuleOptions,
  requireOddKernel,
  requireSizes,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { ConvLayer, requireImage } from './conv-layer.ts';

/** Options of `Conv` and `ConvTranspose`. */
export interface ConvolutionOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Kernel size, odd where the stride is 1. Default: 3; of `ConvTranspose`, the stride. */
  readonly kernel?: number;
  /** Default: 1; of `ConvTranspose`, 2. */
  readonly stride?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Deviation of the weights relative to √(2/fan-in). Default: 1; the last layer of a block: 0.1. */
  readonly gain?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

type FilledOptions = Required<Omit<ConvolutionOptions, 'random'>>;

/** What both have in common: the layer of a kernel, with `w` and `b`. */
abstract class ConvConditioner extends Conditioner<Tensor> {
  readonly options: FilledOptions;
  readonly inner: ConvLayer;

  constructor(
    op: string,
    options: ConvolutionOptions,
    defaults: { kernel?: number; stride: number },
  ) {
    super();
    using building = new Construction();
    const names = ['inChannels', 'outChannels', 'kernel', 'stride', 'ndims', 'gain'];
    requireModuleOptions(op, options, names);
    const { inChannels, outChannels, ndims = 2, gain = 1, random = new RandomStream(0) } = options;
    const { stride = defaults.stride } = options;
    const { kernel = defaults.kernel ?? stride } = options;
    requireSizes(op, { inChannels, outChannels });
    requireDimensions(op, ndims, 1);
    requireKernel(op, 'stride', stride);
    if (stride === 1) requireOddKernel(op, 'kernel', kernel);
    else requireKernel(op, 'kernel', kernel);
    requireAtLeast(op, 'gain', gain, 0);
    this.options = { inChannels, outChannels, kernel, stride, ndims, gain };
    const transposed = op === 'ConvTranspose';
    this.inner = new ConvLayer({ ...this.options, transposed, random });
    building.complete();
  }

  protected apply(x: Tensor) {
    return { y: this.inner.forward(x, 'none', this.sizeAfter(x.shape)), saved: x };
  }

  protected applyBackward(dy: Tensor, x: Tensor) {
    return { dx: this.inner.backward(x, dy) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { y } = this.apply(x);
    return { y, dy: this.inner.tangent(x, y, tangent.x, tangent) };
  }

  protected applyShape(x: Shape): Shape {
    const { inChannels, outChannels, ndims } = this.options;
    requireImage(this.type, x, inChannels, ndims);
    return [x[0]!, outChannels, ...this.sizeAfter(x)];
  }

  /** The spatial sizes of the result. */
  protected abstract sizeAfter(x: Shape): Shape;
}

/**
 * y = w ∗ x + b, w [out, in, …kernel] as PyTorch's `Conv2d` has it, padded so that a stride of 1 keeps the
 * resolution and a stride s that divides it leaves a part 1/s.
 *
 * @example new Conv({ inChannels: 2, outChannels: 16, stride: 2 }).forward(x) // [N, 16, H/2, W/2]
 */
export class Conv extends ConvConditioner {
  static readonly type: string = 'Conv';

  /** @throws ValueError for sizes that are not whole and positive, or an even kernel of stride 1. */
  constructor(options: ConvolutionOptions) {
    super('Conv', options, { kernel: 3, stride: 1 });
  }

  protected sizeAfter([, , ...size]: Shape): Shape {
    const { kernel, stride } = this.options;
    const padding = Math.ceil(Math.max(0, kernel - stride) / 2);
    const after = size.map((s) => Math.floor((s + 2 * padding - kernel) / stride) + 1);
    if (after.every((s) => s > 0)) return after;
    throw new ShapeError(
      `Conv: spatial sizes ${formatShape(size)} leave no room for a kernel of ${kernel}; expected at ` +
        `least ${kernel - 2 * padding} each.`,
    );
  }
}

/**
 * y = wᵀ ∗ x + b, the adjoint of a strided convolution, w [in, out, …kernel] as PyTorch's
 * `ConvTranspose2d` has it: the resolution becomes `stride` times as high.
 *
 * @example new ConvTranspose({ inChannels: 16, outChannels: 8 }).forward(x) // [N, 8, 2H, 2W]
 */
export class ConvTranspose extends ConvConditioner {
  static readonly type: string = 'ConvTranspose';

  /** @throws ValueError for sizes that are not whole and positive, or an even kernel of stride 1. */
  constructor(options: ConvolutionOptions) {
    super('ConvTranspose', options, { stride: 2 });
  }

  protected sizeAfter([, , ...size]: Shape): Shape {
    return size.map((s) => s * this.options.stride);
  }
}
