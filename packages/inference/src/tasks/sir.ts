/** An epidemic of susceptible, infected and recovered people (Kermack and McKendrick, 1927). */
import { logNormalPrior } from '../priors/families.ts';
import { Binomial, logNormal } from './draws.ts';
import { observationsOf } from './observations.ts';
import { integrate } from './ode.ts';
import { planeRejection } from './plane-rejection.ts';
import { BenchmarkTask } from './task.ts';

const people = 1e6;
/** Every 17th day of 160. */
const days = Array.from({ length: 10 }, (_, i) => 17 * i);
const tests = new Binomial(1000);
/** Of log β and log γ. */
const mean = [Math.log(0.4), Math.log(0.125)] as const;
const deviation = [0.5, 0.2] as const;

/**
 * S′ = −β S I/N, I′ = β S I/N − γ I with N = 10⁶ and one infected on day 0; x are the infected among 1000 people on ten days,
 * binomial with I/N. β ~ LogNormal(log 0.4, 0.5), γ ~ LogNormal(log ⅛, 0.2).
 */
export function sirTask(): BenchmarkTask {
  return new BenchmarkTask({
    name: 'sir',
    dataSize: days.length,
    prior: logNormalPrior({ mean, deviation }),
    observations: observationsOf('sir'),
    simulateRow(theta, random, x) {
      infectedShares(theta).forEach((share, i) => {
        x[i] = tests.draw(share, random);
      });
    },
    likelihoodOf,
    proposalOf: (x) => {
      const likelihood = likelihoodOf(x);
      const propose = planeRejection(
        (u, v) =>
          likelihood(Float64Array.of(Math.exp(u), Math.exp(v))) +
          logNormal(u, mean[0], deviation[0]) +
          logNormal(v, mean[1], deviation[1]),
        [frameOf(0), frameOf(1)],
      );
      return (random, theta) => {
        const point = propose(random);
        if (point) theta.set(point.map(Math.exp));
        return point !== undefined;
      };
    },
  });
}

/** I/N on each of the days. */
export function infectedShares([contact, recovery]: Float64Array): Float64Array {
  const states = integrate(
    ([susceptible, infected], slope) => {
      const infections = (contact! * susceptible! * infected!) / people;
      slope[0] = -infections;
      slope[1] = infections - recovery! * infected!;
    },
    { start: Float64Array.of(people - 1, 1), times: days },
  );
  return Float64Array.from(days, (_, i) => Math.min(1, Math.max(0, states[2 * i + 1]! / people)));
}

function likelihoodOf(x: Float64Array) {
  return (theta: Float64Array): number =>
    infectedShares(theta).reduce((sum, share, i) => sum + tests.logProb(x[i]!, share), 0);
}

/** Where the prior has all but 10⁻⁸ of its mass. */
function frameOf(i: 0 | 1): readonly [number, number] {
  return [mean[i] - 6 * deviation[i], mean[i] + 6 * deviation[i]];
}
