/** Right calls of `@invnet/inference/tasks`. */
import * as tasks from '@invnet/inference/tasks';
import { type Calls, call, make, on } from './call.ts';

/** Calls of all exports of the benchmark's tasks. */
export function inferenceTaskCalls(): Calls {
  const linear = tasks.benchmarkTask('gaussian_linear');
  const x = new Array(10).fill(0.1);
  const theta = { shape: [2, 10], data: new Float64Array(20).fill(0.2) };
  const { prior, observations } = linear;
  const parts = {
    ...{ name: 'mine', dataSize: 1, prior, observations },
    simulateRow: () => {},
    likelihoodOf: () => () => 0,
    proposalOf: () => () => true,
  };
  return {
    benchmarkTaskNames: [],
    benchmarkTask: [call(tasks.benchmarkTask, ['two_moons'])],
    BenchmarkTask: [
      make(tasks.BenchmarkTask, [parts]),
      on(linear, 'simulate', [theta, { seed: 1 }]),
      on(linear, 'logLikelihood', [theta, x]),
      on(linear, 'reference', [x, { count: 2, seed: 1 }]),
    ],
  };
}
