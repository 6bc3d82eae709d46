/** The contract of conditioners: the blocks inside couplings, which need not be invertible. */
import type { Tensor } from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';

/** What a conditioner's forward leaves for its backward; the caller disposes it. */
export interface Saved {
  dispose(): void;
}

/**
 * A differentiable function y = g(x), or g(x, context). `forward` returns what `backward` needs, so
 * a coupling's backward evaluates its conditioner once. A conditioner that has no use for a context
 * ignores the one that it is given, and returns no `dcontext`.
 */
export interface Conditioner<S extends Saved = Saved> {
  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: S };
  /** dx = (∂g/∂x)ᵀ dy; adds to each parameter's grad. Does not dispose `saved`. */
  backward(dy: Tensor, saved: S): { dx: Tensor; dcontext?: Tensor };
  /** g(x) and its derivative along a direction. */
  jvp(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor };
  readonly parameters: readonly Parameter[];
}
