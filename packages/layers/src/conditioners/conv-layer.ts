/** A convolution with its parameters, the piece that convolutional conditioners are made of. */
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  formatShape,
  type RandomStream,
  reluGrad,
  type Shape,
  ShapeError,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { requireChannels } from '../core/checks.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Module } from '../tree/module.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `ConvLayer`. */
export interface ConvLayerOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Number of spatial axes, 1 to 3. */
  readonly ndims: number;
  /** Kernel size, odd where the stride is 1. */
  readonly kernel: number;
  /** Default: 1. */
  readonly stride?: number;
  /** Applies the adjoint convolution, which restores what a stride reduced. Default: false. */
  readonly transposed?: boolean;
  /** Deviation of the weights relative to √(2/fan-in) (He et al., 2015). Default: 1. */
  readonly gain?: number;
  /** What stands behind `w` and `b` in the names of the parameters. Default: nothing. */
  readonly suffix?: string;
  /** Draws the weights. */
  readonly random: RandomStream;
}

/** y = w ∗ x + b, or its transposed form y = wᵀ ∗ x + b; padded so that a stride of 1 keeps the size. */
export class ConvLayer extends Module {
  static readonly type: string = 'ConvLayer';
  readonly options: Omit<ConvLayerOptions, 'random'>;
  readonly w: Parameter;
  readonly b: Parameter;
  readonly #geometry: { readonly stride: number; readonly padding: number };

  constructor(options: ConvLayerOptions) {
    super();
    using building = new Construction();
    const { inChannels, outChannels, ndims, kernel, stride = 1, transposed = false } = options;
    const { gain = 1, suffix = '', random } = options;
    const sizes = { inChannels, outChannels, ndims, kernel };
    this.options = { ...sizes, stride, transposed, gain, ...(suffix && { suffix }) };
    const channels = transposed ? [inChannels, outChannels] : [outChannels, inChannels];
    const fan = (inChannels * kernel ** ndims) / (transposed ? stride ** ndims : 1);
    const shape = [...channels, ...new Array<number>(ndims).fill(kernel)];
    const weights = random.normal(shape, gain * Math.sqrt(2 / fan));
    this.w = new Parameter(`w${suffix}`, weights);
    this.b = new Parameter(`b${suffix}`, zeros([outChannels]));
    this.#geometry = { stride, padding: Math.ceil(Math.max(0, kernel - stride) / 2) };
    building.complete();
  }

  /** The layer's result; `size` gives the spatial sizes of a transposed one. */
  forward(x: Tensor, activation: 'relu' | 'none', size: Shape): Tensor {
    const bias = this.b.data;
    if (!this.options.transposed) {
      return conv(x, this.w.data, { ...this.#geometry, bias, activation });
    }
    return tidy(() => add(this.#linear(x, this.w.data, size), alongChannels(bias, x)));
  }

  /**
   * Adds the parameters' gradients, and returns that of the input: of x, or, where x came out of a
   * ReLU, of what went into that.
   */
  backward(x: Tensor, dy: Tensor, before: 'input' | 'relu' = 'input'): Tensor {
    const { w, b } = this;
    const { transposed } = this.options;
    const [input, output] = transposed ? [dy, x] : [x, dy];
    if (!w.frozen) {
      tidy(() => w.takeGrad(convFilterGrad(input, output, w.shape, this.#geometry)));
    }
    if (!b.frozen) tidy(() => b.takeGrad(channelSums(dy)));
    const behindRelu = before === 'relu';
    if (!transposed) {
      return convInputGrad(dy, w.data, x.shape, {
        ...this.#geometry,
        ...(behindRelu && { relu: x }),
      });
    }
    return tidy(() => {
      const dx = conv(dy, w.data, this.#geometry);
      return behindRelu ? reluGrad(x, dx) : dx;
    });
  }

  /** The derivative along dx and the parameters' directions, before the activation. */
  tangent(x: Tensor, output: Tensor, dx: Tensor | undefined, tangent: Tangent): Tensor {
    const dw = tangent.parameters?.get(this.w);
    const db = tangent.parameters?.get(this.b);
    const size = output.shape.slice(2);
    const moved = sumOfTerms(
      output,
      dx && this.#linear(dx, this.w.data, size),
      dw && this.#linear(x, dw, size),
    );
    return db ? add(moved, alongChannels(db, output)) : moved;
  }

  #linear(x: Tensor, w: Tensor, size: Shape): Tensor {
    if (!this.options.transposed) return conv(x, w, this.#geometry);
    return convInputGrad(x, w, [x.shape[0]!, w.shape[1]!, ...size], this.#geometry);
  }
}

/** The shape itself. @throws ShapeError unless it is [N, channels, ...] with `ndims` spatial axes. */
export function requireImage(op: string, shape: Shape, channels: number, ndims: number): Shape {
  requireChannels(op, shape, channels);
  if (shape.length === ndims + 2) return shape;
  throw new ShapeError(
    `${op}: got ${formatShape(shape)} with ${shape.length - 2} spatial axes; expected ${ndims}, its ndims.`,
  );
}
