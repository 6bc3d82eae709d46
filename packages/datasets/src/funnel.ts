/** Neal's funnel: one number is the logarithm of the variance of all others. */
import {
  add,
  affine,
  concat,
  exp,
  mul,
  neg,
  requireBetween,
  requireOptions,
  requireWhole,
  slice,
  square,
  sumPerSample,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { requireCount, requirePoints, type SmoothDensity } from './densities.ts';

/** Shape of the funnel. */
export interface FunnelOptions {
  /** How many numbers a point has, the logarithm of the variance among them. Default: 2; Neal has 10. */
  readonly channels?: number;
  /** Standard deviation of that logarithm. Default: 3. */
  readonly deviation?: number;
}

/**
 * The funnel of Neal, "Slice sampling", 2003: x₁ = deviation·z₁, and xᵢ = exp(x₁/2)·zᵢ for the others, with
 * standard normal z. Its neck is narrow and its mouth wide: no one scale fits both. With V = deviation²,
 * log p(x) = −x₁²/2V − Σ xᵢ² e^(−x₁)/2 − (D − 1) x₁/2 − ½ D log 2π − log deviation.
 *
 * @throws ValueError unless there are at least 2 channels, and the deviation is positive and finite.
 * @example
 * const density = funnel({ channels: 10 });
 * const x = density.sample(1000, new RandomStream(1)); // [1000, 10]
 * const slope = density.score(x); // ∇ log p, [1000, 10]
 */
export function funnel(options: FunnelOptions = {}): SmoothDensity {
  requireOptions('funnel', options, ['channels', 'deviation']);
  const { channels = 2, deviation = 3 } = options;
  requireWhole('funnel', 'channels', channels, 2, 2 ** 20);
  requireBetween('funnel', 'deviation', deviation, 0);
  /** x₁ as [n, 1], and xᵢ² e^(−x₁) and its sum as [n, D − 1] and [n, 1]. */
  const parts = (x: Tensor) => {
    const [n] = x.shape;
    const v = slice(x, 1, 0, 1);
    const rest = slice(x, 1, 1, channels - 1);
    const precision = exp(neg(v));
    return {
      v,
      rest,
      precision,
      squares: mul(sumPerSample(square(rest)).reshape([n!, 1]), precision),
    };
  };
  return {
    sample(n, random) {
      requireCount('funnel', n, random);
      const points = random.normalArray(channels * n);
      for (let i = 0; i < points.length; i += channels) {
        points[i]! *= deviation;
        const scale = Math.exp(points[i]! / 2);
        for (let j = 1; j < channels; j++) points[i + j]! *= scale;
      }
      return tensor(points, [n, channels]);
    },
    logDensity(x) {
      requirePoints('funnel', x, channels);
      const constant = 0.5 * channels * Math.log(2 * Math.PI) + Math.log(deviation);
      return tidy(() => {
        const { v, squares } = parts(x);
        const quadratic = add(affine(square(v), 1 / deviation ** 2), squares);
        return affine(add(quadratic, affine(v, channels - 1)), -0.5, -constant).reshape([-1]);
      });
    },
    score(x) {
      requirePoints('funnel', x, channels);
      return tidy(() => {
        const { v, rest, precision, squares } = parts(x);
        const first = affine(v, -1 / deviation ** 2, -0.5 * (channels - 1));
        return concat([add(first, affine(squares, 0.5)), neg(mul(rest, precision))], 1);
      });
    },
  };
}
