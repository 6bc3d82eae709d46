/** The base distribution of flows. */
import {
  affine,
  neg,
  type RandomStream,
  type Shape,
  square,
  sumPerSample,
  type Tensor,
  tidy,
} from '@invnet/tensor';

/** A distribution with a density that can be differentiated and sampled. */
export interface BaseDistribution {
  /** log p(z) per sample, shape [N]. */
  logProb(z: Tensor): Tensor;
  /** ∂ log p(z)/∂z, of z's shape. */
  gradient(z: Tensor): Tensor;
  /** Samples; `temperature` scales the deviation. */
  sample(shape: Shape, random: RandomStream, temperature: number): Tensor;
}

/**
 * Independent standard normal numbers: log p(z) = −½ Σ z² − ½ D log 2π over D dimensions.
 *
 * @example standardNormal().logProb(z) // [N]
 */
export function standardNormal(): BaseDistribution {
  return {
    logProb: (z) =>
      tidy(() => {
        const dims = z.size / z.shape[0]!;
        return affine(sumPerSample(square(z)), -0.5, -0.5 * dims * Math.log(2 * Math.PI));
      }),
    gradient: neg,
    sample: (shape, random, temperature) => random.normal(shape, temperature),
  };
}
