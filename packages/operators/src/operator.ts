/**
 * What all operators of this package have in common: shapes without the batch, a map and its adjoint, and the
 * checks of their arguments, in one place.
 */
import {
  formatShape,
  formatValue,
  requireList,
  requireTensor,
  requireWhole,
  type Shape,
  ShapeError,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';

/**
 * A linear map A from images [N, ...domain] to data [N, ...range], sample by sample, and its adjoint:
 * ⟨A u, r⟩ = ⟨u, Aᵀ r⟩. Results belong to the caller.
 *
 * `UnrolledLoop` of `@invnet/networks` takes one as its `operator`, and `operatorOf` of `@invnet/jvp` makes of it
 * what that package's solvers and dot tests take.
 */
export interface LinearMap {
  /** Shape of an image. */
  readonly domain: Shape;
  /** Shape of a sample's data. */
  readonly range: Shape;
  /** A u, for u [N, ...domain]. */
  forward(u: Tensor): Tensor;
  /** Aᵀ r, for r [N, ...range]. */
  adjoint(r: Tensor): Tensor;
}

/**
 * Height and width of images, as they are in an operator's options.
 *
 * @throws ValueError unless they are two whole numbers from 1 to `most`.
 */
export function imageSize(
  op: string,
  size: readonly [number, number],
  most: readonly [number, number],
): readonly [height: number, width: number] {
  requireList(op, 'size', size, '[height, width]');
  if (size.length !== 2) {
    throw new ValueError(`${op}: size is ${formatValue(size)}; expected [height, width].`);
  }
  const [height, width] = size;
  requireWhole(op, 'the height in size', height, 1, most[0]);
  requireWhole(op, 'the width in size', width, 1, most[1]);
  return [height, width];
}

/**
 * The base of the operators here, and of those of your own: it checks arguments, frees what is made on the way,
 * and leaves two hooks, `apply` and `applyAdjoint`.
 *
 * What an operator holds, such as a mask, lies where tensors were made when it was built (`setBackend`), and images
 * have to lie there as well; `dispose()` or `using` frees it.
 *
 * @example
 * class Halving extends ImagingOperator {
 *   readonly domain = [1, 8, 8];
 *   readonly range = [1, 8, 8];
 *   protected apply(u: Tensor) { return affine(u, 0.5); }
 *   protected applyAdjoint(r: Tensor) { return affine(r, 0.5); }
 * }
 */
export abstract class ImagingOperator implements LinearMap, Disposable {
  abstract readonly domain: Shape;
  abstract readonly range: Shape;

  /** A u, for checked u, in a `tidy`. */
  protected abstract apply(u: Tensor): Tensor;
  /** Aᵀ r, for checked r, in a `tidy`. */
  protected abstract applyAdjoint(r: Tensor): Tensor;

  /** How many samples a batch has to have; any number unless samples have a physics of their own. */
  get batch(): number | undefined {
    return undefined;
  }

  /** @throws ShapeError unless u is [N, ...domain]. */
  forward(u: Tensor): Tensor {
    this.#require('forward', u, this.domain);
    return tidy(() => this.apply(u));
  }

  /** @throws ShapeError unless r is [N, ...range]. */
  adjoint(r: Tensor): Tensor {
    this.#require('adjoint', r, this.range);
    return tidy(() => this.applyAdjoint(r));
  }

  /** Frees what the operator holds. */
  dispose(): void {}

  [Symbol.dispose](): void {
    this.dispose();
  }

  #require(method: string, x: Tensor, expected: Shape): void {
    const { name } = this.constructor;
    const { shape } = requireTensor(name, x, `the argument of ${method}`);
    const { batch = shape[0] } = this;
    const whole = [batch, ...expected];
    if (shape.length === whole.length && whole.every((size, i) => size === shape[i])) return;
    const batched = (sample: Shape) => `[${[this.batch ?? 'N', ...sample].join(', ')}]`;
    throw new ShapeError(
      `${name}: ${method} got ${formatShape(shape)}; expected ${batched(expected)}, for it maps images ` +
        `${batched(this.domain)} to data ${batched(this.range)}.`,
    );
  }
}
