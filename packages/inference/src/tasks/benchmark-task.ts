/** The tasks by name. */
import { requireOneOf } from '@invnet/tensor';
import { gaussianLinearTask, gaussianLinearUniformTask } from './gaussian-linear.ts';
import { gaussianMixtureTask } from './gaussian-mixture.ts';
import { lotkaVolterraTask } from './lotka-volterra.ts';
import { sirTask } from './sir.ts';
import { slcpTask } from './slcp.ts';
import type { BenchmarkTask } from './task.ts';
import { twoMoonsTask } from './two-moons.ts';

const tasks = {
  two_moons: twoMoonsTask,
  gaussian_linear: gaussianLinearTask,
  gaussian_linear_uniform: gaussianLinearUniformTask,
  gaussian_mixture: gaussianMixtureTask,
  slcp: slcpTask,
  sir: sirTask,
  lotka_volterra: lotkaVolterraTask,
};

/** A task's name, as in the benchmark. */
export type BenchmarkTaskName = keyof typeof tasks;

/** The names of all tasks. */
export const benchmarkTaskNames = Object.keys(tasks) as readonly BenchmarkTaskName[];

/**
 * A task of the benchmark of Lueckmann et al. ("Benchmarking simulation-based inference", 2021): prior, simulator, likelihood
 * and the ten published observations, written from the paper.
 *
 * | name                      | parameters | data |                                                              |
 * | ------------------------- | ---------- | ---- | ------------------------------------------------------------ |
 * | `two_moons`               | 2          | 2    | two crescents                                                |
 * | `gaussian_linear`         | 10         | 10   | x = θ + ε of a normal prior                                  |
 * | `gaussian_linear_uniform` | 10         | 10   | x = θ + ε of a uniform prior                                 |
 * | `gaussian_mixture`        | 2          | 2    | a broad and a narrow distribution of the same mean           |
 * | `slcp`                    | 5          | 8    | simple likelihood, complex posterior: four modes             |
 * | `sir`                     | 2          | 10   | an epidemic, of which a thousand people are tested           |
 * | `lotka_volterra`          | 4          | 20   | predators and prey                                           |
 *
 * All but `lotka_volterra` have an exact sampler of the posterior, `reference`.
 *
 * @throws ValueError for another name.
 * @example
 * const task = benchmarkTask('two_moons');
 * const theta = task.prior.sample({ count: 1000, seed: 1 }); // [1000, 2]
 * const x = task.simulate(theta, { seed: 2 }); // [1000, 2]
 * const [first] = task.observations; // { x: [-0.64, 0.16], theta: [-0.82, -0.58] }
 * const truth = task.reference(first.x, { count: 1000, seed: 3 }); // samples of p(θ | x)
 */
export function benchmarkTask(name: BenchmarkTaskName): BenchmarkTask {
  requireOneOf('benchmarkTask', 'name', name, benchmarkTaskNames);
  return tasks[name]();
}
