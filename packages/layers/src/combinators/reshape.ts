/** Another shape of the same numbers. Mathematics: docs/math/combinators/composition.md */
import {
  checkShape,
  formatShape,
  type Shape,
  ShapeError,
  sizeOf,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `Reshape`. */
export interface ReshapeOptions {
  /** The shape of a sample of x. */
  readonly from: Shape;
  /** That of a sample of y, of as many numbers. Default: a vector. */
  readonly to?: Shape;
}

/**
 * The numbers of each sample in another shape, in the order in which they lie in memory; logdet = 0. What
 * keeps neighbours together when positions become channels is a squeeze.
 *
 * @example
 * const flatten = new Reshape({ from: [3, 8, 8] });
 * const { y } = flatten.forward(x); // x [N, 3, 8, 8], y [N, 192]
 */
export class Reshape extends Bijection {
  static readonly type: string = 'Reshape';
  readonly from: Shape;
  readonly to: Shape;

  /** @throws ValueError unless both shapes have as many numbers. */
  constructor(options: ReshapeOptions) {
    super();
    requireModuleOptions('Reshape', options, ['from', 'to']);
    const { from } = options;
    checkShape('Reshape', from);
    const { to = [sizeOf(from)] } = options;
    checkShape('Reshape', to);
    if (sizeOf(from) !== sizeOf(to)) {
      throw new ValueError(
        `Reshape: from ${formatShape(from)} to ${formatShape(to)}, which have ${sizeOf(from)} and ` +
          `${sizeOf(to)} numbers; expected as many.`,
      );
    }
    this.from = [...from];
    this.to = [...to];
  }

  get options() {
    return { from: this.from, to: this.to };
  }

  protected apply(x: Tensor) {
    return { y: reshaped(x, this.to) };
  }

  protected invert(y: Tensor) {
    return { x: reshaped(y, this.from) };
  }

  protected applyBackward(y: Tensor, dy: Tensor) {
    return { x: reshaped(y, this.from), dx: reshaped(dy, this.from) };
  }

  protected invertBackward(x: Tensor, dx: Tensor) {
    return { y: reshaped(x, this.to), dy: reshaped(dx, this.to) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: reshaped(x, this.to), dy: dx && reshaped(dx, this.to) };
  }

  protected invertTangent(y: Tensor, { x: dy }: Tangent) {
    return { x: reshaped(y, this.from), dx: dy && reshaped(dy, this.from) };
  }

  protected override applyShape(x: Shape): Shape {
    return changed(x, this.from, this.to);
  }

  protected override invertShape(y: Shape): Shape {
    return changed(y, this.to, this.from);
  }
}

function reshaped(x: Tensor, sample: Shape): Tensor {
  return x.reshape([x.shape[0]!, ...sample]);
}

/** The other shape of a batch. @throws ShapeError unless it is a batch of the first one. */
function changed(x: Shape, from: Shape, to: Shape): Shape {
  const [n, ...sample] = x;
  if (n !== undefined && sample.length === from.length && sample.every((s, i) => s === from[i])) {
    return [n, ...to];
  }
  throw new ShapeError(`Reshape: got ${formatShape(x)}; expected [N, ${from.join(', ')}].`);
}
