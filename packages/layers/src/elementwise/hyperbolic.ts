/** What goes with the hyperbolic tangent. Mathematics: docs/math/elementwise/elementwise.md */
import { affine, log, sub, type Tensor, tidy } from '@invnet/tensor';
import { logLogisticSlope } from './logistic-slope.ts';

/** ½ log((1 + y)/(1 − y)) */
export function atanh(y: Tensor): Tensor {
  return tidy(() => affine(sub(log(affine(y, 1, 1)), log(affine(y, -1, 1))), 0.5));
}

/** log(1 − tanh² x) = log 4σ′(2x), exact where tanh is 1. */
export function logOneMinusTanhSquared(x: Tensor): Tensor {
  return tidy(() => affine(logLogisticSlope(affine(x, 2)), 1, Math.log(4)));
}
