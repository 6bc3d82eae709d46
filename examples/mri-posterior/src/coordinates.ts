/**
 * The coordinates in which the flow sees an image: what was observed becomes noise of the size of
 * what was not.
 *
 *   v = x − Aᵀd + (κ − 1) Aᵀ(A x − d),   x = v + Aᵀd + (1/κ − 1) Aᵀ A v,   log|det ∂v/∂x| = m log κ
 *
 * With A Aᵀ = 1 the two are inverse to each other: A v = κ(A x − d), and off the rows of A v is x. The
 * posterior of A x is about d ± σ, a thousandth of the image's range, so narrow that a flow over x
 * would spend its training on it; with κ = s/σ it is white noise of deviation s, and samples fit the
 * data as far as a flow has learned white noise.
 */
import { add, affine, sub, type Tensor, tidy } from '@invnet/tensor';
import type { Observations } from './problem.ts';

/** Data of observations, and their operator. */
type Measurement = Pick<Observations, 'data' | 'operator'>;

/** v of x. */
export function toCoordinates(x: Tensor, { data, operator }: Measurement, kappa: number): Tensor {
  return tidy(() => {
    const residual = sub(operator.forward(x), data);
    const unexplained = sub(x, operator.adjoint(data));
    return add(unexplained, affine(operator.adjoint(residual), kappa - 1));
  });
}

/** x of v. */
export function fromCoordinates(v: Tensor, { data, operator }: Measurement, kappa: number): Tensor {
  return tidy(() => {
    const observed = operator.adjoint(operator.forward(v));
    return add(add(v, operator.adjoint(data)), affine(observed, 1 / kappa - 1));
  });
}
