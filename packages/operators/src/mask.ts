/** Pixels that are seen, and those that are not. Mathematics: docs/math/operators/mask-and-blur.md */
import {
  checkShape,
  clone,
  formatShape,
  keep,
  mul,
  requireOptions,
  requireTensor,
  type Shape,
  ShapeError,
  type Tensor,
} from '@invnet/tensor';
import { ImagingOperator } from './operator.ts';

/** Options of `Mask`. */
export interface MaskOptions {
  /** Shape of an image, [C, ...size]. */
  readonly shape: Shape;
  /** Ones where it is seen and zeros elsewhere, or any weights: of the image's shape, or [1, ...size] for all channels. */
  readonly mask: Tensor;
}

/**
 * d = m ⊙ u: pixels that are not seen are zero. It is its own adjoint; ‖A‖ = max |m|.
 *
 * @example
 * const inpainting = new Mask({ shape: [1, 28, 28], mask: seen }); // seen: [1, 28, 28]
 * const data = inpainting.forward(digits); // [N, 1, 28, 28]
 */
export class Mask extends ImagingOperator {
  readonly domain: Shape;
  readonly #mask: Tensor;

  /** @throws ShapeError for a mask of another shape. */
  constructor(options: MaskOptions) {
    super();
    requireOptions('Mask', options, ['shape', 'mask']);
    this.domain = checkShape('Mask', options.shape);
    const { shape } = requireTensor('Mask', options.mask, 'mask');
    const [channels, ...size] = this.domain;
    const fits = (s: number, i: number) =>
      i === 0 ? s === 1 || s === channels : s === size[i - 1];
    if (shape.length !== this.domain.length || !shape.every(fits)) {
      throw new ShapeError(
        `Mask: mask of ${formatShape(shape)} for images ${formatShape(this.domain)}; expected the same, or ` +
          `${formatShape([1, ...size])}.`,
      );
    }
    this.#mask = keep(clone(options.mask));
  }

  get range(): Shape {
    return this.domain;
  }

  protected apply(u: Tensor): Tensor {
    return mul(u, this.#mask.reshape([1, ...this.#mask.shape]));
  }

  protected applyAdjoint(r: Tensor): Tensor {
    return this.apply(r);
  }

  override dispose(): void {
    this.#mask.dispose();
  }
}
