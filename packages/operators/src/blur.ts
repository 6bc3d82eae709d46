/** Images out of focus. Mathematics: docs/math/operators/mask-and-blur.md */
import {
  checkShape,
  clone,
  conv,
  convInputGrad,
  formatShape,
  keep,
  requireOptions,
  requireTensor,
  type Shape,
  ShapeError,
  type Tensor,
} from '@invnet/tensor';
import { ImagingOperator } from './operator.ts';

/** Options of `Blur`. */
export interface BlurOptions {
  /** Shape of an image, [C, ...size], with one to three axes behind the channels. */
  readonly shape: Shape;
  /** The point spread function, of odd sizes, the same for all channels: [h, w] for images of two axes. */
  readonly kernel: Tensor;
}

/**
 * d = k ∗ u, the convolution of each channel, with zeros beyond the edges and a result of the image's size:
 * d_i = Σ_j k_j u_{i − j}, where j = 0 is the middle of the kernel. The adjoint is the correlation with k.
 * ‖A‖ ≤ Σ|k|.
 *
 * @example
 * const blur = new Blur({ shape: [3, 64, 64], kernel: full([5, 5], 1 / 25) });
 * const blurred = blur.forward(images); // [N, 3, 64, 64]
 */
export class Blur extends ImagingOperator {
  readonly domain: Shape;
  /** [1, 1, ...kernel] */
  readonly #weights: Tensor;
  readonly #padding: readonly number[];

  /** @throws ShapeError for a kernel of even sizes, or not as many axes as images have. */
  constructor(options: BlurOptions) {
    super();
    requireOptions('Blur', options, ['shape', 'kernel']);
    this.domain = checkShape('Blur', options.shape);
    const { shape } = requireTensor('Blur', options.kernel, 'kernel');
    const axes = this.domain.length - 1;
    if (axes < 1 || axes > 3 || shape.length !== axes || shape.some((s) => s % 2 === 0)) {
      throw new ShapeError(
        `Blur: kernel of ${formatShape(shape)} for images ${formatShape(this.domain)}; expected odd sizes, ` +
          'one for each of the one to three axes behind the channels.',
      );
    }
    using copy = clone(options.kernel);
    this.#weights = keep(copy.reshape([1, 1, ...shape]));
    this.#padding = shape.map((s) => (s - 1) / 2);
  }

  get range(): Shape {
    return this.domain;
  }

  // A convolution is the adjoint of a correlation, and that is what `conv` computes.
  protected apply(u: Tensor): Tensor {
    const planes = this.#planes(u);
    const options = { padding: this.#padding };
    return convInputGrad(planes, this.#weights, planes.shape, options).reshape(u.shape);
  }

  protected applyAdjoint(r: Tensor): Tensor {
    return conv(this.#planes(r), this.#weights, { padding: this.#padding }).reshape(r.shape);
  }

  override dispose(): void {
    this.#weights.dispose();
  }

  /** Each channel as a sample of its own. */
  #planes(x: Tensor): Tensor {
    const [n, channels, ...size] = x.shape;
    return x.reshape([n! * channels!, 1, ...size]);
  }
}
