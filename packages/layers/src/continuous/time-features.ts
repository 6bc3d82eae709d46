/** A time as networks see it. Mathematics: docs/math/continuous/velocity-field.md */
import { concat, mul, neg, sum, type Tensor, tensor, tidy } from '@invnet/tensor';
import { sineAndCosine } from '../elementwise/circle.ts';

/** Sines and cosines of a time, and their derivative. */
export interface TimeFeatures {
  /** (sin πkt, cos πkt) for k = 1 … K, [N, 2K, …]. */
  readonly values: Tensor;
  /** Their derivative, of the same shape. */
  readonly slope: Tensor;
}

/** Those of a time t [N, 1, …] from 0 to 1, of so many frequencies. */
export function timeFeatures(t: Tensor, frequencies: number): TimeFeatures {
  const rates = Float64Array.from({ length: frequencies }, (_, k) => (k + 1) * Math.PI);
  return tidy(() => {
    const along = tensor(rates, [1, frequencies, ...t.shape.slice(2).map(() => 1)], t);
    const [sine, cosine] = sineAndCosine(mul(t, along));
    return {
      values: concat([sine, cosine], 1),
      slope: concat([mul(cosine, along), neg(mul(sine, along))], 1),
    };
  });
}

/** ∂⟨d, features⟩/∂t, [N, 1, …]. */
export function timeGradient({ slope }: Pick<TimeFeatures, 'slope'>, d: Tensor): Tensor {
  return tidy(() => sum(mul(slope, d), { axes: [1], keepDims: true }));
}
