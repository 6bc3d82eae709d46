/** Conditioners that users write, from a function and its backward. */
import {
  requireBoolean,
  requireFunction,
  requireOptions,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Options } from '../tree/module.ts';
import { type Parameter, requireParameters } from '../tree/parameter.ts';

/** What a `CustomBlock` is made of. */
export interface CustomBlockParts<K = unknown> {
  /**
   * y, and what `backward` needs: tensors in plain records and lists, which the block frees but for x,
   * the context and y. Where `saved` has a function `dispose`, it is called instead.
   */
  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: K };
  /** dx (and dcontext); adds to the parameters' gradients. Does not dispose `saved`. */
  backward(dy: Tensor, saved: K): { dx: Tensor; dcontext?: Tensor };
  /** Needed by Jacobians only. */
  jvp?(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy?: Tensor };
  /** The shape of y. @throws ShapeError for an x that the block does not take. */
  outputShape?(x: Shape): Shape | undefined;
  /** Default: none. */
  readonly parameters?: readonly Parameter[];
  /** Does y depend on a context? Default: where `forward` has a second argument. */
  readonly usesContext?: boolean;
}

const names = ['forward', 'backward', 'jvp', 'outputShape', 'parameters', 'usesContext'];

/**
 * Any differentiable function as a conditioner: it stands wherever a block of this library does.
 * With a name (see `named`) it can be saved.
 *
 * @example
 * const squares = new CustomBlock(named('squares', {
 *   forward: (x) => ({ y: square(x), saved: { x } }),
 *   backward: (dy, { x }) => ({ dx: affine(mul(dy, x), 2) }),
 * }));
 * new AdditiveCoupling(squares);
 */
export class CustomBlock<K = unknown> extends Conditioner<K> {
  static readonly type: string = 'CustomBlock';
  /** The parameters that the functions use. */
  readonly own: readonly Parameter[];
  readonly #parts: CustomBlockParts<K>;

  constructor(parts: CustomBlockParts<K>) {
    super();
    requireOptions('CustomBlock', parts, names);
    requireFunction('CustomBlock', 'forward', parts.forward);
    requireFunction('CustomBlock', 'backward', parts.backward);
    if (parts.jvp !== undefined) requireFunction('CustomBlock', 'jvp', parts.jvp);
    if (parts.outputShape !== undefined) {
      requireFunction('CustomBlock', 'outputShape', parts.outputShape);
    }
    if (parts.usesContext !== undefined) {
      requireBoolean('CustomBlock', 'usesContext', parts.usesContext);
    }
    this.#parts = parts;
    this.own = parts.parameters ?? [];
    requireParameters('CustomBlock', this.own);
  }

  static build<K>({ parts }: { readonly parts: CustomBlockParts<K> }): CustomBlock<K> {
    return new CustomBlock(parts);
  }

  get options(): Options {
    return { parts: this.#parts };
  }

  override get usesContext(): boolean {
    return this.#parts.usesContext ?? this.#parts.forward.length > 1;
  }

  protected apply(x: Tensor, context?: Tensor) {
    return this.#parts.forward(x, context);
  }

  protected applyBackward(dy: Tensor, saved: K) {
    return this.#parts.backward(dy, saved);
  }

  /** @throws ValueError when the block was made without a `jvp`. */
  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    if (this.#parts.jvp) return this.#parts.jvp(x, tangent, context);
    throw new ValueError(
      'CustomBlock: made without jvp, which Jacobians need; expected { forward, backward, jvp }.',
    );
  }

  protected override release(saved: K, made: readonly Tensor[]): void {
    if (hasDispose(saved)) saved.dispose();
    else super.release(saved, made);
  }

  protected applyShape(x: Shape): Shape | undefined {
    return this.#parts.outputShape?.(x);
  }
}

function hasDispose(saved: unknown): saved is { dispose(): void } {
  return (
    typeof saved === 'object' &&
    saved !== null &&
    'dispose' in saved &&
    typeof saved.dispose === 'function'
  );
}
