/**
 * The slope σ′ = σ(1 − σ) of the logistic function, far from zero too, where the product rounds to zero.
 * Mathematics: docs/math/elementwise/elementwise.md
 */
import { abs, add, affine, exp, mul, sigmoid, softplus, type Tensor, tidy } from '@invnet/tensor';

/** log σ′(x) = −log(1 + eˣ) − log(1 + e⁻ˣ) */
export function logLogisticSlope(x: Tensor): Tensor {
  return tidy(() => affine(add(softplus(x), softplus(affine(x, -1))), -1));
}

/**
 * √σ′(x) = e^(−|x|/2)·σ(|x|), by which one multiplies or divides twice: it is a normal number of float32
 * up to |x| = 174, and its square only to 87.
 */
export function rootLogisticSlope(x: Tensor): Tensor {
  return tidy(() => {
    const distance = abs(x);
    return mul(exp(affine(distance, -0.5)), sigmoid(distance));
  });
}
