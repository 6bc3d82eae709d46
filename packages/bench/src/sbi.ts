/**
 * The benchmark of simulation-based inference (Lueckmann et al. 2021): for each task simulations, a posterior that is
 * learned from them, its samples at the published observations, and how well a classifier tells them from reference samples
 * (C2ST: ½ is perfect, 1 is none alike); with the seconds of each part, and on demand the same by the Python package sbi, from
 * the same simulations on as many threads.
 */
import process from 'node:process';
import {
  c2st,
  type EstimatorName,
  estimatorNames,
  neuralPosterior,
  type Simulations,
  simulate,
} from '@invnet/inference';
import {
  type BenchmarkTask,
  type BenchmarkTaskName,
  benchmarkTask,
  benchmarkTaskNames,
} from '@invnet/inference/tasks';
import { getBackend, requireOneOf, setBackend } from '@invnet/tensor';
import type { Figure } from './figures.ts';
import { makeOwnBackend } from './own-backends.ts';
import { readReference, runSbi, type SbiOutcome, sbiEstimators } from './peers/sbi-peer.ts';
import { formatTable } from './table.ts';

/** One posterior estimator on one task. */
export interface SbiResult {
  readonly task: BenchmarkTaskName;
  readonly simulations: number;
  readonly library: string;
  /** Of each observation. */
  readonly accuracies: readonly number[];
  /** Seconds; undefined of a peer, which gets what was simulated here. */
  readonly simulating: number | undefined;
  readonly training: number;
  readonly epochs: number;
  /** Of all observations. */
  readonly sampling: number;
}

/** What `bench sbi` measured. */
export interface SbiReport {
  readonly suite: 'sbi';
  readonly threads: number;
  readonly backend: string;
  /** Where reference samples are from. */
  readonly reference: 'sbibm' | 'exact samplers';
  readonly results: readonly SbiResult[];
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
}

/** Which rows to measure. */
export interface SbiOptions {
  readonly threads?: number;
  readonly tasks?: readonly BenchmarkTaskName[];
  readonly simulations?: readonly number[];
  readonly estimators?: readonly EstimatorName[];
  /** How many of the ten. */
  readonly observations?: number;
  /** Samples of each posterior, and of each reference. */
  readonly samples?: number;
  /** Measures the Python package sbi as well. */
  readonly peer?: boolean;
  /** Passes over the simulations, where not those by default. */
  readonly epochs?: number;
}

/** Mean C2ST of NPE over the ten observations, with 10⁴ and 10⁵ simulations, as the benchmark's authors publish it. */
const published: Readonly<Record<string, readonly [number, number]>> = {
  two_moons: [0.606, 0.542],
  gaussian_linear: [0.552, 0.506],
  gaussian_mixture: [0.661, 0.555],
  slcp: [0.901, 0.831],
  sir: [0.68, 0.585],
};

/** Names in a flag, joined by commas. @throws ValueError for one that is none of them. */
export function chooseNames<T extends string>(
  flag: string,
  given: string | undefined,
  names: readonly T[],
  otherwise: readonly T[],
): readonly T[] {
  if (given === undefined) return otherwise;
  return given.split(',').map((name) => {
    requireOneOf('bench sbi', flag, name, names);
    return name as T;
  });
}

/** What the command line says of rows. @throws Error for names and numbers that cannot be. */
export function chooseSbi(flags: {
  readonly task?: string | undefined;
  readonly simulations?: string | undefined;
  readonly estimator?: string | undefined;
  readonly observations?: string | undefined;
  readonly peer?: string | undefined;
}): SbiOptions {
  const whole = (flag: string, text: string, most: number) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new Error(`${flag} is '${text}'; expected a whole number from 1 to ${most}.`);
  };
  if (flags.peer !== undefined) requireOneOf('bench sbi', '--peer', flags.peer, ['sbi']);
  const all = Object.keys(published) as BenchmarkTaskName[];
  return {
    tasks: chooseNames('--task', flags.task, benchmarkTaskNames, all),
    simulations: (flags.simulations ?? '10000')
      .split(',')
      .map((text) => whole('--simulations', text, 1e7)),
    estimators: chooseNames('--estimator', flags.estimator, estimatorNames, ['spline']),
    observations: whole('--observations', flags.observations ?? '10', 10),
    peer: flags.peer !== undefined,
  };
}

/** Runs the suite, on native kernels. */
export async function measureSbi(options: SbiOptions = {}): Promise<SbiReport> {
  const {
    threads = 2,
    tasks = ['two_moons'],
    simulations = [10_000],
    estimators = ['spline'],
  } = options;
  const { observations = 10, samples = 10_000, peer = false, epochs } = options;
  const before = getBackend();
  await setBackend(await makeOwnBackend('native', threads));
  const results: SbiResult[] = [];
  const notes: string[] = [];
  const shipped = await readReference('two_moons', 1).then(
    () => true,
    (error: Error) => {
      notes.push(`reference samples are drawn here: ${error.message}`);
      return false;
    },
  );
  for (const name of tasks) {
    const task = benchmarkTask(name);
    const observed = task.observations.slice(0, observations).map(({ x }) => x);
    const references = await referencesOf(task, observed, samples, shipped);
    for (const count of simulations) {
      const { pairs, simulating } = await simulated(task, count);
      const told = async (library: string, outcome: SbiOutcome, own: boolean) => {
        const { posteriors, ...times } = outcome;
        const accuracies: number[] = [];
        for (const [i, data] of posteriors.entries()) {
          const shape = [samples, task.prior.size];
          const drawn = { shape, data: Float64Array.from(data) };
          accuracies.push((await c2st({ shape, data: references[i]! }, drawn)).accuracy);
        }
        const result = { task: name, simulations: count, library, accuracies, ...times };
        results.push({ ...result, simulating: own ? simulating : undefined });
        // All rows together take an hour.
        process.stderr.write(`bench: ${rowName(result)}: C2ST ${meanOf(accuracies).toFixed(3)}\n`);
      };
      for (const estimator of estimators) {
        const outcome = await own(task, pairs, observed, { estimator, samples, epochs });
        await told(`invnet ${estimator}`, outcome, true);
        const twin = sbiEstimators[estimator];
        if (!peer || twin === undefined) continue;
        const problem = { task, ...pairs, observations: observed, samples };
        await runSbi(problem, twin, threads).then(
          (theirs) => told(`sbi ${twin}`, theirs, false),
          (error: Error) => notes.push(`${name}, ${count}: sbi ${twin}: ${error.message}`),
        );
      }
    }
  }
  await setBackend(before);
  const figures = results
    .filter(({ library }) => library.startsWith('invnet'))
    .map((r): Figure => {
      const milliseconds = 1000 * r.training;
      const label = `${r.task}, ${r.simulations} simulations, ${r.library}: training`;
      return {
        name: label,
        unit: 'ms',
        value: milliseconds,
        low: milliseconds,
        high: milliseconds,
      };
    });
  const reference = shipped ? 'sbibm' : 'exact samplers';
  return { suite: 'sbi', threads, backend: 'native', reference, results, notes, figures };
}

async function simulated(task: BenchmarkTask, count: number) {
  const start = performance.now();
  const pairs = await simulate(
    { batch: (theta, { random }) => task.simulate(theta, { seed: random }) },
    task.prior,
    { count, seed: 1, batchSize: 1000 },
  ).result();
  return { pairs, simulating: (performance.now() - start) / 1000 };
}

async function own(
  task: BenchmarkTask,
  pairs: Simulations,
  observed: readonly (readonly number[])[],
  how: { estimator: EstimatorName; samples: number; epochs: number | undefined },
): Promise<SbiOutcome> {
  const { estimator, samples, epochs } = how;
  const start = performance.now();
  const { posterior, history } = await neuralPosterior(task.prior, pairs, {
    estimator,
    seed: 1,
    ...(epochs !== undefined && { epochs }),
  }).result();
  const learned = performance.now();
  const posteriors: ArrayLike<number>[] = [];
  for (const [i, x] of observed.entries()) {
    posteriors.push((await posterior.sample({ x, count: samples, seed: 100 + i })).data);
  }
  const ended = performance.now();
  posterior.dispose();
  return {
    training: (learned - start) / 1000,
    sampling: (ended - learned) / 1000,
    epochs: history.length,
    posteriors,
  };
}

async function referencesOf(
  task: BenchmarkTask,
  observed: readonly (readonly number[])[],
  samples: number,
  shipped: boolean,
): Promise<Float64Array[]> {
  const references: Float64Array[] = [];
  for (const [i, x] of observed.entries()) {
    const data = shipped
      ? Float64Array.from(await readReference(task.name, i + 1))
      : Float64Array.from(task.reference(x, { count: samples, seed: 200 + i }).data);
    references.push(data.subarray(0, samples * task.prior.size));
  }
  return references;
}

/** The report as a table. */
export function describeSbi({ results, notes, threads, reference }: SbiReport): string {
  const seconds = (value: number | undefined) => (value === undefined ? '' : value.toFixed(1));
  const rows = results.map((r) => {
    const range = `${Math.min(...r.accuracies).toFixed(3)} – ${Math.max(...r.accuracies).toFixed(3)}`;
    const at = [10_000, 100_000].indexOf(r.simulations);
    return [
      rowName(r),
      meanOf(r.accuracies).toFixed(3),
      range,
      String(r.accuracies.length),
      published[r.task]?.[at]?.toFixed(3) ?? '',
      seconds(r.simulating),
      `${seconds(r.training)} (${r.epochs})`,
      seconds(r.sampling),
    ];
  });
  const columns = [
    'C2ST',
    'range',
    'observations',
    'published NPE',
    'simulating',
    'training',
    'sampling',
  ];
  return [
    `C2ST against reference samples (${reference}): the mean over observations, ½ at best. Seconds on ${threads} thread${
      threads === 1 ? '' : 's'
    }, in parentheses epochs.`,
    '',
    formatTable(['task, simulations', ...columns], rows),
    ...notes,
  ].join('\n');
}

function rowName({
  task,
  simulations,
  library,
}: Pick<SbiResult, 'task' | 'simulations' | 'library'>): string {
  return `${task}, ${simulations}: ${library}`;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
