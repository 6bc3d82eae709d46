/**
 * Squeezes: maps that halve every spatial axis and multiply the channels by 2 per axis. All here
 * are orthogonal, so that inverse and adjoint are one.
 */
import { formatShape, type Shape, ShapeError, type Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import type { Tangent } from '../core/tangent.ts';

/** An orthogonal linear map without parameters; logdet = 0. Subclasses give the map and its transpose. */
export abstract class Squeeze extends Bijection {
  /** y = Q x, of shape [N, 2ᵈC, size/2, …]. */
  protected abstract squeeze(x: Tensor): Tensor;
  /** x = Qᵀ y */
  protected abstract unsqueeze(y: Tensor): Tensor;

  protected apply(x: Tensor) {
    return { y: this.squeeze(x) };
  }

  protected invert(y: Tensor) {
    return { x: this.unsqueeze(y) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, _: BackwardOptions, kept?: Tensor) {
    return { x: kept ?? this.unsqueeze(y), dx: this.unsqueeze(dy) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, _: BackwardOptions, kept?: Tensor) {
    return { y: kept ?? this.squeeze(x), dy: this.squeeze(dx) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: this.squeeze(x), dy: dx && this.squeeze(dx) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    return { x: this.unsqueeze(y), dx: dy && this.unsqueeze(dy) };
  }

  protected override applyShape(x: Shape): Shape {
    return squeezedShape(x);
  }

  protected override invertShape(y: Shape): Shape {
    return unsqueezedShape(y);
  }
}

/** [N, 2ᵈC, size/2, …] @throws ShapeError for an odd spatial size or a wrong rank. */
export function squeezedShape(x: Shape): Shape {
  const { n, c, sizes } = partsOf(x);
  if (sizes.some((s) => s % 2 !== 0)) {
    throw new ShapeError(
      `squeeze: got ${formatShape(x)}; expected even spatial sizes, to be halved.`,
    );
  }
  return [n, c * 2 ** sizes.length, ...sizes.map((s) => s / 2)];
}

/**
 * The shape that becomes this one.
 *
 * @throws ShapeError unless the channels are a multiple of 2 per spatial axis.
 */
export function unsqueezedShape(y: Shape): Shape {
  const { n, c, sizes } = partsOf(y);
  const factor = 2 ** sizes.length;
  if (c % factor !== 0) {
    throw new ShapeError(
      `squeeze, inverse: got ${formatShape(y)}; expected channels that are a multiple of ${factor}.`,
    );
  }
  return [n, c / factor, ...sizes.map((s) => 2 * s)];
}

function partsOf(shape: Shape) {
  if (shape.length < 3 || shape.length > 5) {
    throw new ShapeError(
      `squeeze: got ${formatShape(shape)}; expected [N, C, W], [N, C, H, W] or [N, C, D, H, W].`,
    );
  }
  const [n, c, ...sizes] = shape as readonly [number, number, ...number[]];
  return { n, c, sizes };
}
