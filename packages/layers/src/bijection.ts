/** The contract of an invertible layer or network. Everything else is derived from it. */
import type { Tensor } from '@invnet/tensor';
import type { Parameter } from './parameter.ts';
import type { State } from './state.ts';

/** A direction to differentiate along; what is left out is zero. */
export interface Tangent<S extends State = Tensor> {
  /** Direction of the map's argument: x of `jvp`, y of `jvpInverse`. */
  readonly x?: S | undefined;
  /** Directions of parameters; those missing do not move. */
  readonly parameters?: ReadonlyMap<Parameter, Tensor> | undefined;
  readonly context?: Tensor | undefined;
}

/** What goes with a backward call. */
export interface BackwardOptions {
  /** ∂loss/∂logdet per sample, shape [N]. Zero when left out. */
  readonly dlogdet?: Tensor | undefined;
  /** The same context that the forward (inverse) call had. */
  readonly context?: Tensor | undefined;
}

/**
 * An invertible map y = f(x) with parameters. `S` is a tensor, or a pair where the map acts on one.
 *
 * Ownership: a method disposes nothing that it was given; what it returns belongs to the caller.
 * Gradients accumulate in `parameters`. No state is kept between calls: `backward` recomputes the
 * input from the output, which is why memory does not grow with depth.
 */
export interface Bijection<S extends State = Tensor> {
  /** y = f(x), and log|det ∂f/∂x| per sample, shape [N]. */
  forward(x: S, context?: Tensor): { y: S; logdet: Tensor };
  /** x = f⁻¹(y), and log|det ∂f⁻¹/∂y| per sample, shape [N]. */
  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor };
  /**
   * Recomputes x from y, and returns dx = Jᵀdy + dlogdet·∇ₓlogdet. Adds to each parameter's grad.
   */
  backward(y: S, dy: S, options?: BackwardOptions): { x: S; dx: S; dcontext?: Tensor };
  /** The same for the inverse map: recomputes y from x. */
  backwardInverse(x: S, dx: S, options?: BackwardOptions): { y: S; dy: S; dcontext?: Tensor };
  /** Forward differentiation along a direction in the input, the parameters and the context. */
  jvp(
    x: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): { y: S; dy: S; logdet: Tensor; dlogdet: Tensor };
  /** The same for the inverse map, which is what lets a reversed network be differentiated. */
  jvpInverse(
    y: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): { x: S; dx: S; logdet: Tensor; dlogdet: Tensor };
  /** In a stable order, with stable path names. */
  readonly parameters: readonly Parameter[];
}
