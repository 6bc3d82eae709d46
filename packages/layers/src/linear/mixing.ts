/**
 * Square matrices that mix channels, whatever parameters they are made of.
 * Mathematics: docs/math/linear/conv1x1.md
 */
import { conv, convInputGrad, type Tensor } from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';

/** A square matrix with parameters. Called within the methods of a module, which free what it makes. */
export interface Mixing {
  readonly parameters: readonly Parameter[];
  /** The matrix that the parameters give now. */
  evaluate(): EvaluatedMixing;
  /** log|det W|, with its tangent and its gradient; left out where it is zero. */
  readonly volume?: {
    logdet(): Tensor;
    tangent(tangent: Tangent): Tensor | undefined;
    accumulate(gradient: Tensor, factor: number): void;
  };
}

/** A matrix W, whose pieces are made once for all that is asked of it. Lives within one method. */
export interface EvaluatedMixing {
  /** W x, W⁻¹x and Wᵀx, W⁻ᵀx for x [N, C, P]. */
  apply(x: Tensor): Tensor;
  applyInverse(x: Tensor): Tensor;
  applyTransposed(x: Tensor): Tensor;
  applyInverseTransposed(x: Tensor): Tensor;
  /** The derivative of W along a direction; undefined where it does not move. */
  tangent(tangent: Tangent): Tensor | undefined;
  /** Adds the parameters' gradients for g = ∂loss/∂W. */
  accumulate(g: Tensor): void;
}

/** x ↦ W x at every position of [N, C, P]: a convolution with a kernel of one position. */
export function mixingBy(w: Tensor): (x: Tensor) => Tensor {
  const kernel = w.reshape([...w.shape, 1]);
  return (x) => conv(x, kernel);
}

/** x ↦ Wᵀx at every position of [N, C, P]. */
export function mixingByTransposed(w: Tensor): (x: Tensor) => Tensor {
  const kernel = w.reshape([...w.shape, 1]);
  return (x) => convInputGrad(x, kernel, x.shape);
}

/** What a matrix does whose inverse is its transpose. */
export function orthogonalBy(w: Tensor) {
  const [apply, applyTransposed] = [mixingBy(w), mixingByTransposed(w)];
  return {
    apply,
    applyInverse: applyTransposed,
    applyTransposed,
    applyInverseTransposed: apply,
  };
}
