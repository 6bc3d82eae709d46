/** The benchmark's tasks beside what sbibm 1.1.0 and scipy say of them, which `record-tasks.py` recorded. */
import { readFileSync } from 'node:fs';
import type { HostArray } from '@invnet/datasets';
import { describe, expect, it } from 'vitest';
import { benchmarkTask, benchmarkTaskNames } from '../src/tasks/index.ts';
import { infectedShares } from '../src/tasks/sir.ts';

/** Of each column three values, and which share of the samples is at most as large. */
interface Distribution {
  readonly values: readonly (readonly number[])[];
  readonly shares: readonly (readonly number[])[];
}

interface Recorded {
  readonly theta: readonly (readonly number[])[];
  readonly logPrior: readonly number[];
  readonly logLikelihood: readonly number[];
  readonly simulations: Distribution;
  readonly reference: Distribution;
}

const file = new URL('./recorded/tasks.json', import.meta.url);
const recorded: Record<string, Recorded> = JSON.parse(readFileSync(file, 'utf8'));

function rowsOf(rows: readonly (readonly number[])[]): HostArray {
  return { shape: [rows.length, rows[0]!.length], data: Float64Array.from(rows.flat()) };
}

/** The largest difference between the shares of samples and those that were recorded. */
function distance({ shape, data }: HostArray, { values, shares }: Distribution): number {
  const [count, size] = shape as [number, number];
  const differences = values.flatMap((some, c) =>
    some.map((value, i) => {
      let below = 0;
      // Recorded values are of float32.
      for (let n = 0; n < count; n++)
        if (data[n * size + c]! <= value + 1e-6 * Math.abs(value)) below++;
      return Math.abs(below / count - shares[c]![i]!);
    }),
  );
  return Math.max(...differences);
}

describe.each(benchmarkTaskNames)('%s', (name) => {
  const task = benchmarkTask(name);
  const { theta, logPrior, logLikelihood, simulations } = recorded[name]!;
  const [{ x, theta: truth }] = task.observations as [{ x: number[]; theta: number[] }];

  it('has the densities of sbibm', () => {
    const rows = rowsOf(theta);
    task.prior.logProb(rows).forEach((value, i) => {
      expect(value).toBeCloseTo(logPrior[i]!, 4);
    });
    task.logLikelihood(rows, x).forEach((value, i) => {
      // There it is a density of the radius; per area it is smaller by the length of half a circle.
      const [a, b] = theta[i]!;
      const u = x[0]! + Math.abs(a! + b!) / Math.SQRT2 - 0.25;
      const area =
        name === 'two_moons'
          ? Math.log(Math.PI * Math.hypot(u, x[1]! - (b! - a!) / Math.SQRT2))
          : 0;
      expect(value + area).toBeCloseTo(logLikelihood[i]!, 5);
    });
  });

  it('simulates as it does, the same for a seed', () => {
    const many = rowsOf(Array.from({ length: 4000 }, () => truth));
    const made = task.simulate(many, { seed: 1 });
    // Four deviations of the larger of the differences, or fewer.
    expect(distance(made, simulations)).toBeLessThan(4 * 0.5 * Math.sqrt(1 / 4000 + 1 / 20000));
    expect(task.simulate(many, { seed: 1 })).toEqual(made);
  });

  it('has ten observations, which its prior may lead to', () => {
    expect(task.observations).toHaveLength(10);
    for (const observation of task.observations) {
      const likelihood = task.logLikelihood(rowsOf([observation.theta]), observation.x)[0]!;
      expect(likelihood).toBeGreaterThan(-1000);
      expect(task.prior.contains(rowsOf([observation.theta]))).toEqual([true]);
    }
  });

  it('refuses what is none of its data', () => {
    const { size } = task.prior;
    const row = { shape: [1, size], data: new Float64Array(size).fill(Number.NaN) };
    expect(() => task.simulate(row, { seed: 1 })).toThrow('row 0 of theta is NaN');
    expect(() => task.logLikelihood(rowsOf([truth.slice(1)]), x)).toThrow(`expected [N, ${size}]`);
    expect(() => task.logLikelihood(rowsOf([truth]), x.slice(1))).toThrow('expected');
    if (task.hasReference) return;
    expect(() => task.reference(x, { count: 1, seed: 1 })).toThrow('no exact sampler');
  });
});

it.each(benchmarkTaskNames.map(benchmarkTask).filter((task) => task.hasReference))(
  '$name has exact samples of the posterior',
  (task) => {
    const count = 4000;
    const samples = task.reference(task.observations[0]!.x, { count, seed: 1 });
    expect(samples.shape).toEqual([count, task.prior.size]);
    const { reference } = recorded[task.name]!;
    expect(distance(samples, reference)).toBeLessThan(4 * 0.5 * Math.sqrt(1 / count + 1 / 10000));
  },
);

it('solves the epidemic to 1e-6 of scipy, which the likelihood of all its samples is of', () => {
  // By scipy.integrate.solve_ivp, DOP853, of relative tolerance 1e-12, at β = 0.6, γ = 0.2.
  const expected = [
    1e-6, 0.0008960434268, 0.2652732364, 0.0566825625, 0.003636392186, 0.0002233138475,
    1.367883914e-5, 8.377509995e-7, 5.130698689e-8, 3.142228852e-9,
  ];
  infectedShares(Float64Array.of(0.6, 0.2)).forEach((share, i) => {
    expect(Math.abs(share / expected[i]! - 1)).toBeLessThan(1e-6);
  });
});

it('says so where no parameters lead to an observation', { timeout: 60_000 }, () => {
  const task = benchmarkTask('gaussian_mixture');
  expect(() => task.reference([1000, 0], { count: 1, seed: 1 })).toThrow('were rejected');
  // @ts-expect-error: not one of the names
  expect(() => benchmarkTask('three_moons')).toThrow("name is 'three_moons'");
});
