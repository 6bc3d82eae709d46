/** Conditioners that users write, from a function and its backward. */
import { type Tensor, ValueError } from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import type { Parameter } from './parameter.ts';

/** What a `CustomBlock` is made of. */
export interface CustomBlockParts<S extends Saved> {
  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: S };
  /** dx (and dcontext); adds to the parameters' gradients. Does not dispose `saved`. */
  backward(dy: Tensor, saved: S): { dx: Tensor; dcontext?: Tensor };
  /** Needed by Jacobians only. */
  jvp?(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor };
  /** Default: none. */
  readonly parameters?: readonly Parameter[];
}

/**
 * Any differentiable function as a conditioner: it stands wherever a block of this library does.
 *
 * @example
 * const doubling = new CustomBlock({
 *   forward: (x) => ({ y: affine(x, 2), saved: { dispose() {} } }),
 *   backward: (dy) => ({ dx: affine(dy, 2) }),
 * });
 * new AdditiveCoupling(doubling);
 */
export class CustomBlock<S extends Saved = Saved> implements Conditioner<S> {
  readonly parameters: readonly Parameter[];
  readonly #parts: CustomBlockParts<S>;

  constructor(parts: CustomBlockParts<S>) {
    this.#parts = parts;
    this.parameters = parts.parameters ?? [];
  }

  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: S } {
    return this.#parts.forward(x, context);
  }

  backward(dy: Tensor, saved: S): { dx: Tensor; dcontext?: Tensor } {
    return this.#parts.backward(dy, saved);
  }

  /** @throws ValueError when the block was made without a `jvp`. */
  jvp(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor } {
    if (this.#parts.jvp) return this.#parts.jvp(x, tangent, context);
    throw new ValueError(
      'CustomBlock: made without jvp, which Jacobians need; expected { forward, backward, jvp }.',
    );
  }
}
