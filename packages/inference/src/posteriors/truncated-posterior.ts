/**
 * A posterior for one observation, in rounds that simulate where it is: truncated sequential neural posterior estimation
 * (Deistler, Gonçalves and Macke, "Truncated proposals for scalable and hassle-free simulation-based inference", 2022).
 * Mathematics: docs/math/inference/truncated-posterior.md
 */
import type { HostArray } from '@invnet/datasets';
import {
  RandomStream,
  requireBetween,
  requireOptions,
  requireRecord,
  requireWhole,
} from '@invnet/tensor';
import type { FitProgress } from '@invnet/train';
import { type Prior, requirePrior } from '../priors/prior.ts';
import { Run } from '../run.ts';
import type { WorkerSimulator } from '../simulation/lanes.ts';
import {
  type SimulateOptions,
  type SimulationProgress,
  type Simulations,
  simulateAt,
} from '../simulation/simulate.ts';
import type { Simulator } from '../simulation/simulator.ts';
import {
  type NeuralPosteriorOptions,
  type NeuralPosteriorResult,
  neuralPosterior,
} from './neural-posterior.ts';
import { type Observations, requireFiniteObservations } from './observations.ts';
import { drawTruncated, type TruncatedDraws } from './truncated-prior.ts';

/** How many rounds of what. */
export interface TruncatedPosteriorOptions {
  /** The one observation. */
  readonly x: Observations;
  /** Simulations of each round. */
  readonly count: number;
  readonly seed: number;
  /** Default: 5. */
  readonly rounds?: number;
  /** The share of a round's posterior that the parameters of the next may miss. Default: 1e-4. */
  readonly mass?: number;
  /** How to simulate. */
  readonly simulation?: Pick<SimulateOptions, 'batchSize' | 'workers' | 'timeout'>;
  /** How to learn in each round. */
  readonly learning?: Omit<NeuralPosteriorOptions, 'seed' | 'signal'>;
  /** Ends it with the round that is under way, whose posterior is the result. */
  readonly signal?: AbortSignal | undefined;
}

/** How far it is. */
export interface TruncatedPosteriorProgress {
  /** From 1. */
  readonly round: number;
  readonly rounds: number;
  /** The share of the prior that this round's parameters are from; 1 in the first. */
  readonly acceptance: number;
  /** What it is at. */
  readonly simulation?: SimulationProgress;
  readonly learning?: FitProgress;
}

/** The last round's posterior, and what it was learned from. */
export interface TruncatedPosteriorResult extends NeuralPosteriorResult {
  /** Of all rounds. */
  readonly simulations: Simulations;
  /** The share of the prior that each round's parameters were from. */
  readonly acceptance: readonly number[];
}

/**
 * Learns p(θ | x) for one observation: each round simulates parameters of the prior that the posterior of the round before does
 * not rule out, and learns of the simulations of all rounds. As these are of the prior, but for a constant, where the
 * posterior is, the loss needs no correction.
 *
 * @throws MissingDensityError for a prior without density whose region of interest has become too small to be found by its
 * draws. @throws as `simulate` and `neuralPosterior`.
 * @example
 * const run = truncatedPosterior(simulator, prior, { x: observation, count: 1000, rounds: 4, seed: 1 });
 * for await (const { round, acceptance } of run) console.log(round, acceptance);
 * const { posterior } = await run.result(); // for this observation, and hardly for others
 */
export function truncatedPosterior(
  simulator: Simulator | WorkerSimulator,
  prior: Prior,
  options: TruncatedPosteriorOptions,
): Run<TruncatedPosteriorProgress, TruncatedPosteriorResult> {
  const op = 'truncatedPosterior';
  requirePrior(op, prior);
  const names = ['x', 'count', 'seed', 'rounds', 'mass', 'simulation', 'learning', 'signal'];
  requireOptions(op, options, names);
  const { count, seed, rounds = 5, mass = 1e-4, simulation = {}, learning = {} } = options;
  // Before anything is simulated; its shape is known when something is.
  requireFiniteObservations(op, options.x);
  requireWhole(op, 'count', count, 1, 2 ** 28);
  requireWhole(op, 'seed', seed, 0);
  requireWhole(op, 'rounds', rounds, 1, 1000);
  if (mass !== 0) requireBetween(op, 'mass', mass, 0, 1);
  requireOptions(`${op}: simulation`, simulation, ['batchSize', 'workers', 'timeout']);
  requireRecord(op, 'learning', learning);
  return new Run(work(simulator, prior, { ...options, rounds, mass, simulation, learning }));
}

type Settings = TruncatedPosteriorOptions &
  Required<Pick<TruncatedPosteriorOptions, 'rounds' | 'mass' | 'simulation' | 'learning'>>;

async function* work(
  simulator: Simulator | WorkerSimulator,
  prior: Prior,
  { x, count, seed, rounds, mass, simulation, learning, signal }: Settings,
): AsyncGenerator<TruncatedPosteriorProgress, TruncatedPosteriorResult, undefined> {
  // Behind the blocks of all simulations, as the prior's draws of simulate.
  const random = new RandomStream(seed, 2 ** 52);
  const all: Simulations[] = [];
  const acceptance: number[] = [];
  let last: NeuralPosteriorResult | undefined;
  let learned = false;
  try {
    for (let round = 1; round <= rounds; round++) {
      const drawn: TruncatedDraws = last
        ? await drawTruncated(prior, last.posterior, count, { x, mass, random })
        : { theta: prior.sample({ count, seed: random }), acceptance: 1 };
      acceptance.push(drawn.acceptance);
      const now = { round, rounds, acceptance: drawn.acceptance };
      const own = { ...simulation, count, seed: seedOf(seed, round), signal };
      const simulating = simulateAt(simulator, () => drawn.theta, own);
      for await (const progress of simulating) yield { ...now, simulation: progress };
      all.push(await simulating.result());
      const how = { ...learning, seed, ...(signal && { signal }) };
      const learningNow = neuralPosterior(prior, together(all), how);
      for await (const progress of learningNow) yield { ...now, learning: progress };
      const result = await learningNow.result();
      last?.posterior.dispose();
      last = result;
      if (signal?.aborted) break;
    }
    learned = true;
    return { ...last!, simulations: together(all), acceptance };
  } finally {
    if (!learned) last?.posterior.dispose();
  }
}

/** Another seed for each round, so that no noise comes twice. */
function seedOf(seed: number, round: number): number {
  return (seed + round * 2 ** 32) % Number.MAX_SAFE_INTEGER;
}

function together(all: readonly Simulations[]): Simulations {
  return {
    theta: joined(all.map(({ theta }) => theta)),
    x: joined(all.map(({ x }) => x)),
    failures: all.flatMap(({ failures }) => failures),
  };
}

function joined(arrays: readonly HostArray[]): HostArray {
  const [first] = arrays;
  const data = new Float64Array(arrays.reduce((sum, array) => sum + array.data.length, 0));
  let at = 0;
  for (const array of arrays) {
    data.set(array.data, at);
    at += array.data.length;
  }
  const rows = arrays.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return { shape: [rows, ...first!.shape.slice(1)], data };
}
