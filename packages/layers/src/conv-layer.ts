/** A convolution with its parameters, the piece that convolutional conditioners are made of. */
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  reluGrad,
  type Shape,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import { alongChannels, channelSums, sumOfTerms } from './checks.ts';
import type { Parameter } from './parameter.ts';

/** Geometry of a layer. */
export interface ConvLayerOptions {
  readonly stride?: number;
  readonly padding?: number;
  /** Applies the adjoint convolution, which restores what a stride reduced. Default: false. */
  readonly transposed?: boolean;
}

/** y = w ∗ x + b, or its transposed form y = wᵀ ∗ x + b. */
export class ConvLayer {
  readonly w: Parameter;
  readonly b: Parameter;
  readonly #options: { readonly stride: number; readonly padding: number };
  readonly #transposed: boolean;

  constructor(w: Parameter, b: Parameter, options: ConvLayerOptions = {}) {
    this.w = w;
    this.b = b;
    this.#options = { stride: options.stride ?? 1, padding: options.padding ?? 0 };
    this.#transposed = options.transposed ?? false;
  }

  get parameters(): readonly Parameter[] {
    return [this.w, this.b];
  }

  /** The layer's result; `size` gives the spatial sizes of a transposed one. */
  forward(x: Tensor, activation: 'relu' | 'none', size: Shape): Tensor {
    const bias = this.b.data;
    if (!this.#transposed) return conv(x, this.w.data, { ...this.#options, bias, activation });
    return tidy(() => add(this.#apply(x, this.w.data, size), alongChannels(bias, x)));
  }

  /**
   * Adds the parameters' gradients, and returns that of the input: of x, or, where x came out of a
   * ReLU, of what went into that.
   */
  backward(x: Tensor, dy: Tensor, before: 'input' | 'relu' = 'input'): Tensor {
    const { w, b } = this;
    const [input, output] = this.#transposed ? [dy, x] : [x, dy];
    if (!w.frozen) {
      tidy(() => w.takeGrad(convFilterGrad(input, output, w.shape, this.#options)));
    }
    if (!b.frozen) tidy(() => b.takeGrad(channelSums(dy)));
    const behindRelu = before === 'relu';
    if (!this.#transposed) {
      return convInputGrad(dy, w.data, x.shape, {
        ...this.#options,
        ...(behindRelu && { relu: x }),
      });
    }
    return tidy(() => {
      const dx = conv(dy, w.data, this.#options);
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
      dx && this.#apply(dx, this.w.data, size),
      dw && this.#apply(x, dw, size),
    );
    return db ? add(moved, alongChannels(db, output)) : moved;
  }

  #apply(x: Tensor, w: Tensor, size: Shape): Tensor {
    if (!this.#transposed) return conv(x, w, this.#options);
    return convInputGrad(x, w, [x.shape[0]!, w.shape[1]!, ...size], this.#options);
  }
}
