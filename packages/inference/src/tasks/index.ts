/**
 * Tasks of the benchmark of simulation-based inference, an entry of its own: `@invnet/inference/tasks`.
 *
 * Left out: `slcp_distractors` and `bernoulli_glm`, whose simulators are tables of drawn numbers, and `bernoulli_glm_raw`.
 */
export { type BenchmarkTaskName, benchmarkTask, benchmarkTaskNames } from './benchmark-task.ts';
export type { TaskObservation } from './task.ts';
export { BenchmarkTask } from './task.ts';
