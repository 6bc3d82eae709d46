/** Independent normal numbers, whoever gives their means and deviations. Mathematics: docs/math/flows/bases.md */
import { perSample } from '@invnet/layers';
import {
  add,
  affine,
  exp,
  mul,
  neg,
  type Shape,
  square,
  sub,
  sumPerSample,
  type Tensor,
} from '@invnet/tensor';
import type { Draw } from './base-distribution.ts';

/** Means and logarithms of deviations, to be broadcast over z. */
export interface Moments {
  readonly mean: Tensor;
  readonly logDeviation: Tensor;
}

/** Gradients of the moments, of z's shape. */
export interface MomentGradients {
  readonly dmean: Tensor;
  readonly dlogDeviation: Tensor;
}

/** log p(z), [N]. */
export function momentsDensity(z: Tensor, moments: Moments): Tensor {
  return densityOf(standardized(z, moments), moments);
}

/** log p(z) and its gradients, those of the moments of z's shape. */
export function momentsBackward(z: Tensor, moments: Moments, dlogProb: Tensor) {
  const e = standardized(z, moments);
  const w = perSample(dlogProb, z);
  const dmean = mul(mul(w, e), exp(neg(moments.logDeviation)));
  return {
    logProb: densityOf(e, moments),
    dz: neg(dmean),
    dmean,
    dlogDeviation: mul(w, affine(square(e), 1, -1)),
  };
}

/** μ + σTε */
export function momentsDraw(shape: Shape, moments: Moments, { random, temperature }: Draw): Tensor {
  const noise = random.normal(shape, temperature);
  return add(moments.mean, mul(exp(moments.logDeviation), noise));
}

/** The gradients of the moments for a loss of samples, of z's shape. */
export function momentsDrawBackward(z: Tensor, mean: Tensor, dz: Tensor): MomentGradients {
  return { dmean: dz, dlogDeviation: mul(dz, sub(z, mean)) };
}

/** (z − μ)/σ */
function standardized(z: Tensor, { mean, logDeviation }: Moments): Tensor {
  return mul(sub(z, mean), exp(neg(logDeviation)));
}

function densityOf(e: Tensor, { logDeviation }: Moments): Tensor {
  const dims = e.size / e.shape[0]!;
  const terms = add(affine(square(e), 0.5), logDeviation);
  return affine(sumPerSample(terms), -1, -0.5 * dims * Math.log(2 * Math.PI));
}
