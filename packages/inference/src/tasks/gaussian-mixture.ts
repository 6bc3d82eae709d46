/** A mixture of a broad and a narrow distribution around the same mean (Sisson et al., 2007). */
import type { RandomStream } from '@invnet/tensor';
import { uniformPrior } from '../priors/families.ts';
import { logNormal } from './draws.ts';
import { observationsOf } from './observations.ts';
import { BenchmarkTask } from './task.ts';

const bound = 10;
const deviations = [1, 0.1] as const;

/** x ~ ½ N(θ, I) + ½ N(θ, 0.01 I) in the plane, for θ uniform in [−10, 10]². */
export function gaussianMixtureTask(): BenchmarkTask {
  return new BenchmarkTask({
    name: 'gaussian_mixture',
    dataSize: 2,
    prior: uniformPrior({ low: [-bound, -bound], high: [bound, bound] }),
    observations: observationsOf('gaussian_mixture'),
    simulateRow: around,
    likelihoodOf: (x) => (theta) => {
      const [broad, narrow] = deviations.map(
        (deviation) =>
          logNormal(x[0]!, theta[0]!, deviation) + logNormal(x[1]!, theta[1]!, deviation),
      );
      const most = Math.max(broad!, narrow!);
      return most + Math.log((Math.exp(broad! - most) + Math.exp(narrow! - most)) / 2);
    },
    // x and θ change places, as the prior is constant within its bounds.
    proposalOf: (x) => (random, theta) => {
      around(x, random, theta);
      return Math.abs(theta[0]!) <= bound && Math.abs(theta[1]!) <= bound;
    },
  });
}

/** Draws around a centre. */
function around(centre: Float64Array, random: RandomStream, out: Float64Array): void {
  const deviation = deviations[random.uniformArray(1)[0]! < 0.5 ? 0 : 1];
  const noise = random.normalArray(2, deviation);
  out[0] = centre[0]! + noise[0]!;
  out[1] = centre[1]! + noise[1]!;
}
