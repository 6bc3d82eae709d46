/**
 * The contract of the layers inside an `InvertibleResidual`: functions g whose Lipschitz constant is known
 * to be at most 1, and that can be differentiated twice, as the derivative of a log-determinant asks for.
 * Mathematics: docs/math/residual/lipschitz-block.md
 *
 * Left out: contexts, and layers that mix samples.
 */
import type { Shape, Tensor } from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import { Module } from '../tree/module.ts';

/**
 * A layer at its numbers of now. In all methods h is the layer's argument, J = ∂g/∂h there, v a direction
 * of h, and u a gradient with respect to the result.
 */
export interface EvaluatedLayer {
  /** g(h) */
  apply(h: Tensor): Tensor;
  /** J v */
  push(h: Tensor, v: Tensor): Tensor;
  /** Of a function of each number alone its derivative, by which `push` and `pull` multiply. */
  slope?(h: Tensor): Tensor;
  /** Jᵀu */
  pull(h: Tensor, u: Tensor): Tensor;
  /** ∂⟨u, J v⟩/∂h; left out by what is linear. */
  bend?(h: Tensor, v: Tensor, u: Tensor): Tensor;
  /** Adds ∂⟨u, g(h)⟩/∂θ to the parameters' gradients. */
  accumulate(h: Tensor, u: Tensor): void;
  /** Adds ∂⟨u, J v⟩/∂θ to the parameters' gradients. */
  accumulateBend(h: Tensor, v: Tensor, u: Tensor): void;
  /** (∂g(h)/∂θ) θ̇, and that of a context where the layer has one; undefined where nothing moves. */
  moved(h: Tensor, tangent: Tangent): Tensor | undefined;
  /** (∂J v/∂θ) θ̇; undefined where no parameter moves. */
  movedPush(h: Tensor, v: Tensor, tangent: Tangent): Tensor | undefined;
}

/** A function of Lipschitz constant at most 1 in the Euclidean norm, for each sample alone. */
export abstract class LipschitzLayer extends Module {
  /** What the Lipschitz constant is at most, as far as the norms of its weights are known. */
  abstract readonly lipschitz: number;

  /** The layer at its numbers of now; what it makes is freed by the `tidy` around it. */
  abstract evaluate(): EvaluatedLayer;

  /** The shape of g(h), checks included. @throws ShapeError for one that it does not take. */
  abstract outputShape(h: Shape): Shape;
}
