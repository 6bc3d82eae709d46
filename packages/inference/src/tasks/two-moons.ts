/** Two moons (Greenberg et al., "Automatic posterior transformation for likelihood-free inference", 2019). */
import type { RandomStream } from '@invnet/tensor';
import { uniformPrior } from '../priors/families.ts';
import { logNormal } from './draws.ts';
import { observationsOf } from './observations.ts';
import { BenchmarkTask } from './task.ts';

const [offset, radius, deviation] = [0.25, 0.1, 0.01];

/**
 * x = p + (−|θ₁ + θ₂|, −θ₁ + θ₂)/√2 with p = (r cos a + ¼, r sin a), a uniform in ±π/2, r normal with mean 0.1 and deviation
 * 0.01; θ uniform in [−1, 1]². Of an observation the posterior is two crescents.
 */
export function twoMoonsTask(): BenchmarkTask {
  const prior = uniformPrior({ low: [-1, -1], high: [1, 1] });
  return new BenchmarkTask({
    name: 'two_moons',
    dataSize: 2,
    prior,
    observations: observationsOf('two_moons'),
    simulateRow(theta, random, x) {
      const [z0, z1] = turned(theta);
      const [p0, p1] = noise(random);
      x[0] = p0 - Math.abs(z0);
      x[1] = p1 + z1;
    },
    likelihoodOf: (x) => (theta) => {
      const [z0, z1] = turned(theta);
      const [u, v] = [x[0]! + Math.abs(z0) - offset, x[1]! - z1];
      const r = Math.hypot(u, v);
      // On half a circle, and per area: the circle's length at r grows with it.
      return u < 0
        ? Number.NEGATIVE_INFINITY
        : logNormal(r, radius, deviation) - Math.log(Math.PI * r);
    },
    proposalOf: (x) => (random, theta) => {
      const [p0, p1] = noise(random);
      const size = p0 - x[0]!;
      const z0 = random.uniformArray(1)[0]! < 0.5 ? size : -size;
      const z1 = x[1]! - p1;
      theta[0] = (z0 - z1) / Math.SQRT2;
      theta[1] = (z0 + z1) / Math.SQRT2;
      return size >= 0 && Math.abs(theta[0]) <= 1 && Math.abs(theta[1]) <= 1;
    },
  });
}

function turned([a, b]: Float64Array): [number, number] {
  return [(a! + b!) / Math.SQRT2, (b! - a!) / Math.SQRT2];
}

/** p */
function noise(random: RandomStream): [number, number] {
  const a = Math.PI * (random.uniformArray(1)[0]! - 0.5);
  const r = radius + random.normalArray(1, deviation)[0]!;
  return [r * Math.cos(a) + offset, r * Math.sin(a)];
}
