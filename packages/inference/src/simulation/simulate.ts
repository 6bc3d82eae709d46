/**
 * Parameters from the prior and observations from the simulator: pairs to learn from. What fails is counted and reported, with
 * the parameters that it failed for.
 */
import type { HostArray } from '@invnet/datasets';
import {
  formatShape,
  type InvNetError,
  RandomStream,
  requireBetween,
  requireBoolean,
  requireOptions,
  requireWhole,
} from '@invnet/tensor';
import { type Prior, requirePrior } from '../priors/prior.ts';
import { Run } from '../run.ts';
import { type Lane, lanesOf, type WorkerSimulator } from './lanes.ts';
import type { Pairs } from './pairs.ts';
import { SimulationError } from './simulation-error.ts';
import type { SimulationFailure } from './simulation-failure.ts';
import type { Outcome, Simulator } from './simulator.ts';

/** How many simulations, and how. */
export interface SimulateOptions {
  readonly count: number;
  /** Parameters and noise follow from it, whatever the number of workers. */
  readonly seed: number;
  /** Simulations between two reports: those of a call of a batch simulator, and as many promises at once. Default: 100. */
  readonly batchSize?: number;
  /** Workers at once, of a simulator `{ worker }`. Default: 1. */
  readonly workers?: number;
  /**
   * Milliseconds for one simulation, or one batch of a batch simulator. A worker that takes longer is ended; a promise of this
   * thread is left alone; a function that never gives way cannot be stopped. Default: no limit.
   */
  readonly timeout?: number | undefined;
  /** Ends simulating; what is done by then is the result. */
  readonly signal?: AbortSignal | undefined;
}

/** How far simulating is. */
export interface SimulationProgress {
  /** Simulations that ended, those that failed among them. */
  readonly done: number;
  readonly count: number;
  readonly failed: number;
}

/** Pairs of parameters and observations. */
export interface Simulations extends Pairs {
  /** Those that are not among the N. Where they are many, what is learned is conditioned on not failing. */
  readonly failures: readonly SimulationFailure[];
}

/**
 * Simulates `count` observations of parameters from the prior. Simulation i has a random stream of its own, so that the same
 * seed gives the same pairs, bit for bit, whatever the number of workers; a batch simulator has one for each batch.
 *
 * @throws SimulationError where all simulations fail, with the cause of the first, or observations differ in shape. @throws
 * ValueError for what is no observation: that is the simulator's mistake and not one of its parameters'.
 * @example
 * const simulator: Simulator = ([a, b], { random }) => random.normalArray(8).map((e) => a + b * e);
 * const { theta, x, failures } = await simulate(simulator, prior, { count: 10_000, seed: 1 }).result();
 */
export function simulate(
  simulator: Simulator | WorkerSimulator,
  prior: Prior,
  options: SimulateOptions,
): Run<SimulationProgress, Simulations> {
  const names = ['count', 'seed', 'batchSize', 'workers', 'timeout', 'signal'];
  requireOptions('simulate', options, names);
  const { count, seed } = options;
  requirePrior('simulate', prior);
  requireWhole('simulate', 'count', count, 1, 2 ** 28);
  requireWhole('simulate', 'seed', seed, 0);
  // Behind the blocks of all simulations.
  const random = new RandomStream(seed, 2 ** 52);
  return simulateAt(simulator, () => prior.sample({ count, seed: random }), options);
}

/** Simulates observations of given parameters, as many as `count` says. */
export function simulateAt(
  simulator: Simulator | WorkerSimulator,
  parameters: () => HostArray,
  options: SimulateOptions,
): Run<SimulationProgress, Simulations> {
  const { batchSize = 100, workers = 1, timeout, signal } = options;
  requireWhole('simulate', 'batchSize', batchSize, 1);
  requireWhole('simulate', 'workers', workers, 1, 1024);
  if (timeout !== undefined) requireBetween('simulate', 'timeout', timeout, 0, 2 ** 31);
  if (signal !== undefined) requireBoolean('simulate', "the signal's aborted", signal?.aborted);
  const limits = { workers, timeout: timeout ?? Number.POSITIVE_INFINITY, signal };
  const lanes = lanesOf('simulate', simulator, limits);
  return new Run(work(lanes, parameters, { ...options, batchSize }));
}

async function* work(
  lanes: readonly Lane[],
  parameters: () => HostArray,
  { count, seed, batchSize, signal }: SimulateOptions & { batchSize: number },
): AsyncGenerator<SimulationProgress, Simulations, undefined> {
  const theta = parameters();
  const results: Outcome[][] = [];
  const running = new Map<Lane, Promise<readonly [Lane, number, Outcome[]]>>();
  const starts = Array.from({ length: Math.ceil(count / batchSize) }, (_, i) => i * batchSize);
  const idle = [...lanes];
  const aborted = abortion(signal);
  let [done, failed, next] = [0, 0, 0];
  try {
    while (next < starts.length || running.size > 0) {
      if (signal?.aborted) break;
      while (idle.length > 0 && next < starts.length) {
        const lane = idle.pop()!;
        const [index, first] = [next, starts[next]!];
        const job = { first, theta: rows(theta, first, Math.min(first + batchSize, count)), seed };
        running.set(
          lane,
          lane.run(job).then((outcomes) => [lane, index, outcomes]),
        );
        next += 1;
      }
      const ended = await Promise.race([...running.values(), aborted.promise]);
      if (!ended) break;
      const [lane, index, outcomes] = ended;
      running.delete(lane);
      idle.push(lane);
      results[index] = outcomes;
      done += outcomes.length;
      failed += outcomes.filter((outcome) => !('x' in outcome)).length;
      yield { done, count, failed };
    }
  } finally {
    aborted.dispose();
    for (const lane of lanes) lane.dispose();
    // What runs on in this thread may still throw, which is nobody's.
    for (const promise of running.values()) promise.catch(() => {});
  }
  return collect(theta, results, starts);
}

/** A promise that a signal fulfils with nothing. */
function abortion(signal: AbortSignal | undefined) {
  let listener = () => {};
  const promise = new Promise<undefined>((resolve) => {
    listener = () => resolve(undefined);
    signal?.addEventListener('abort', listener, { once: true });
  });
  return { promise, dispose: () => signal?.removeEventListener('abort', listener) };
}

function rows({ shape, data }: HostArray, from: number, to: number): HostArray {
  const size = shape[1]!;
  return { shape: [to - from, size], data: data.slice(from * size, to * size) };
}

/** Pairs of what came, in the order of the parameters. */
function collect(
  theta: HostArray,
  results: readonly (readonly Outcome[])[],
  starts: readonly number[],
): Simulations {
  const failures: SimulationFailure[] = [];
  const kept: number[] = [];
  const observed: HostArray[] = [];
  starts.forEach((start, batch) => {
    results[batch]?.forEach((outcome, i) => {
      const index = start + i;
      if ('x' in outcome) {
        kept.push(index);
        observed.push(outcome.x);
      } else {
        const row = Float64Array.from(rows(theta, index, index + 1).data);
        failures.push({ index, theta: row, ...outcome });
      }
    });
  });
  if (observed.length === 0) throw nothing(failures);
  const [first] = observed;
  observed.forEach(({ shape }, i) => {
    if (formatShape(shape) === formatShape(first!.shape)) return;
    throw new SimulationError(
      `simulate: observation ${kept[i]} is ${formatShape(shape)}, the first ${formatShape(first!.shape)}; expected equal ` +
        'shapes. Sets of any size are padded, with a last feature that marks what is there (padSets).',
    );
  });
  const size = first!.data.length;
  const Floats = first!.data instanceof Float32Array ? Float32Array : Float64Array;
  const x = new Floats(observed.length * size);
  observed.forEach(({ data }, i) => {
    x.set(data, i * size);
  });
  const width = theta.shape[1]!;
  const parameters = new Float64Array(kept.length * width);
  kept.forEach((index, i) => {
    parameters.set(rows(theta, index, index + 1).data, i * width);
  });
  return {
    theta: { shape: [kept.length, width], data: parameters },
    x: { shape: [observed.length, ...first!.shape], data: x },
    failures,
  };
}

function nothing(failures: readonly SimulationFailure[]): InvNetError {
  const [first] = failures;
  if (!first) return new SimulationError('simulate: it was aborted before a simulation was done.');
  return new SimulationError(
    `simulate: all ${failures.length} simulations failed; the first, of ${first.theta.join(', ')}, ${
      first.reason === 'threw' ? 'threw ' : ''
    }${first.message}. Expected a simulator that gives finite numbers for some parameters of the prior.`,
    { cause: first.cause },
  );
}
