/** Two linear models of ten parameters, of a normal and of a uniform prior. */
import { normalPrior, uniformPrior } from '../priors/families.ts';
import { logNormal } from './draws.ts';
import { observationsOf } from './observations.ts';
import { BenchmarkTask, type TaskParts } from './task.ts';

const size = 10;
/** Of the noise, and of the normal prior. */
const variance = 0.1;
const deviation = Math.sqrt(variance);
const each = (value: number): number[] => new Array(size).fill(value);

/** x = θ + ε with ε ~ N(0, 0.1 I), for ten parameters θ ~ N(0, 0.1 I). The posterior is N(x/2, 0.05 I). */
export function gaussianLinearTask(): BenchmarkTask {
  return new BenchmarkTask({
    ...linear,
    name: 'gaussian_linear',
    prior: normalPrior({ mean: each(0), deviation: each(deviation) }),
    observations: observationsOf('gaussian_linear'),
    proposalOf: (x) => (random, theta) => {
      const noise = random.normalArray(size, Math.sqrt(variance / 2));
      for (let i = 0; i < size; i++) theta[i] = x[i]! / 2 + noise[i]!;
      return true;
    },
  });
}

/** x = θ + ε with ε ~ N(0, 0.1 I), for ten parameters, uniform in [−1, 1]. The posterior is a normal one, cut off there. */
export function gaussianLinearUniformTask(): BenchmarkTask {
  return new BenchmarkTask({
    ...linear,
    name: 'gaussian_linear_uniform',
    prior: uniformPrior({ low: each(-1), high: each(1) }),
    observations: observationsOf('gaussian_linear_uniform'),
    // Parameters are independent in the posterior, so each is proposed until it is accepted.
    proposalOf: (x) => {
      let i = 0;
      return (random, theta) => {
        theta[i] = x[i]! + random.normalArray(1, deviation)[0]!;
        if (Math.abs(theta[i]!) <= 1) i++;
        if (i < size) return false;
        i = 0;
        return true;
      };
    },
  });
}

const linear: Pick<TaskParts, 'dataSize' | 'simulateRow' | 'likelihoodOf'> = {
  dataSize: size,
  simulateRow(theta, random, x) {
    const noise = random.normalArray(size, deviation);
    for (let i = 0; i < size; i++) x[i] = theta[i]! + noise[i]!;
  },
  likelihoodOf: (x) => (theta) =>
    theta.reduce((sum, value, i) => sum + logNormal(x[i]!, value, deviation), 0),
};
