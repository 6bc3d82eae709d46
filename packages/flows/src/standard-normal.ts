/** Base distributions of flows. */
import { Module } from '@invnet/layers';
import {
  affine,
  neg,
  type RandomStream,
  requireStream,
  type Shape,
  square,
  sumPerSample,
  type Tensor,
  tidy,
} from '@invnet/tensor';

/** A distribution with a density that can be differentiated and sampled. */
export abstract class BaseDistribution extends Module {
  /** log p(z) per sample, shape [N]. */
  abstract logProb(z: Tensor): Tensor;
  /** ∂ log p(z)/∂z, of z's shape. */
  abstract gradient(z: Tensor): Tensor;
  /** Samples; `temperature` scales the deviation. */
  abstract sample(shape: Shape, random: RandomStream, temperature: number): Tensor;
}

/**
 * Independent standard normal numbers: log p(z) = −½ Σ z² − ½ D log 2π over D dimensions.
 *
 * @example new StandardNormal().logProb(z) // [N]
 */
export class StandardNormal extends BaseDistribution {
  static readonly type: string = 'StandardNormal';

  get options() {
    return {};
  }

  logProb(z: Tensor): Tensor {
    return tidy(() => {
      const samples = sumPerSample(square(z));
      const dims = z.size / samples.size;
      return affine(samples, -0.5, -0.5 * dims * Math.log(2 * Math.PI));
    });
  }

  gradient(z: Tensor): Tensor {
    return neg(z);
  }

  sample(shape: Shape, random: RandomStream, temperature: number): Tensor {
    return requireStream('StandardNormal.sample', random).normal(shape, temperature);
  }
}

/** A `StandardNormal`. */
export function standardNormal(): StandardNormal {
  return new StandardNormal();
}
