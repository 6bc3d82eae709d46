/** Predators and prey (Lotka, 1920). */
import { logNormalPrior } from '../priors/families.ts';
import { logNormal } from './draws.ts';
import { observationsOf } from './observations.ts';
import { integrate } from './ode.ts';
import { BenchmarkTask } from './task.ts';

/** Every 21st of 201 times in 20 days. */
const times = Array.from({ length: 10 }, (_, i) => 2.1 * i);
const deviation = 0.1;

/**
 * u′ = α u − β u v, v′ = −γ v + δ u v from u = 30, v = 1; x are u at ten times and v at the same times, each log-normal around it with
 * deviation 0.1. α, γ ~ LogNormal(−⅛, ½), β, δ ~ LogNormal(−3, ½).
 */
export function lotkaVolterraTask(): BenchmarkTask {
  return new BenchmarkTask({
    name: 'lotka_volterra',
    dataSize: 2 * times.length,
    prior: logNormalPrior({ mean: [-0.125, -3, -0.125, -3], deviation: new Array(4).fill(0.5) }),
    observations: observationsOf('lotka_volterra'),
    simulateRow(theta, random, x) {
      const noise = random.normalArray(x.length, deviation);
      logPopulations(theta).forEach((log, i) => {
        x[i] = Math.exp(log + noise[i]!);
      });
    },
    likelihoodOf: (x) => (theta) =>
      logPopulations(theta).reduce((sum, log, i) => {
        const value = Math.log(x[i]!);
        return sum + logNormal(value, log, deviation) - value;
      }, 0),
  });
}

/** log u at all times, then log v, within what the benchmark cuts them to. */
function logPopulations([alpha, beta, gamma, delta]: Float64Array): Float64Array {
  // Of logarithms nothing becomes negative.
  const states = integrate(
    ([u, v], slope) => {
      slope[0] = alpha! - beta! * Math.exp(v!);
      slope[1] = delta! * Math.exp(u!) - gamma!;
    },
    { start: Float64Array.of(Math.log(30), 0), times, scale: 1 },
  );
  const of = (which: number) => times.map((_, i) => states[2 * i + which]!);
  const clamp = (log: number) => Math.min(Math.log(1e4), Math.max(Math.log(1e-10), log));
  return Float64Array.from([...of(0), ...of(1)], clamp);
}
