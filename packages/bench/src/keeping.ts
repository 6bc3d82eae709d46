/**
 * What a training step takes and holds with nothing kept between forward and backward, with what conditioners
 * leave, and with all states: the networks of `glow`, and a forward and a backward of deep ones of `memory`, in
 * turns, on the current backend.
 */
import { type KeepLevel, keeping } from '@invnet/layers';
import { backendInfo, memory, resetPeakMemory } from '@invnet/tensor';
import { median, type Spread, spreadOf } from './contest.ts';
import type { Figure } from './figures.ts';
import { deepNetwork } from './network-memory.ts';
import { describeNetwork, type Network, networks } from './networks.ts';
import { makeTrainingProblem, optimizing, trainingOf } from './peers/own-network.ts';
import { formatTable, mebibytes } from './table.ts';

/** One network with something kept. */
export interface KeepingRow extends Spread {
  readonly network: string;
  readonly keep: KeepLevel;
  /** Its time as a part of that with nothing kept in the same turn: the median over the turns. */
  readonly ofNothing: number;
  /** Peak of a step above the live bytes before it and the gradients of the parameters. */
  readonly peak: number;
}

/** What `bench keep` measured. */
export interface KeepingReport {
  readonly suite: 'keep';
  readonly backend: ReturnType<typeof backendInfo>;
  /** What each network is. */
  readonly networks: Readonly<Record<string, string>>;
  readonly results: readonly KeepingRow[];
  readonly figures: readonly Figure[];
}

const levels: readonly KeepLevel[] = ['nothing', 'inputs', 'all'];
const bytesPerNumber = 4;
/** Networks of `memory`, and how large they are, with batches as people train with. */
const deepNames = ['GraphNetwork', 'RevNet', 'InvertibleUNet', 'residual flow'];
const [depth, hidden] = [16, 128];

/** Measures each network with each level. */
export async function measureKeeping(
  options: {
    chosen?: Readonly<Record<string, Network>>;
    deep?: readonly string[];
    batch?: number;
    repeats?: number;
  } = {},
): Promise<KeepingReport> {
  const { chosen = networks, deep = deepNames, batch = 16, repeats = 15 } = options;
  const results: KeepingRow[] = [];
  for (const [name, network] of Object.entries(chosen)) {
    results.push(...(await measureNetwork(name, network, repeats)));
  }
  for (const name of deep) {
    const { pass, dispose } = await deepNetwork(name, { depth, hidden, batch });
    const stepWith = (keep: KeepLevel) => () => keeping(keep, pass);
    results.push(...(await measureSteps(name, stepWith, { repeats })));
    dispose();
  }
  const described = Object.entries(chosen).map(([name, n]) => [name, describeNetwork(n)]);
  const passes = deep.map((name) => [
    name,
    `depth ${depth}, width ${hidden}, batch ${batch}, a forward and a backward`,
  ]);
  const figures = results.flatMap(({ network, keep, ...r }): Figure[] => {
    const name = `${network}, ${keep}`;
    return [
      { name, unit: 'ms', value: r.milliseconds, low: r.fastest, high: r.slowest },
      { name: `${name}, peak`, unit: 'bytes', value: r.peak, low: r.peak, high: r.peak },
    ];
  });
  return {
    suite: 'keep',
    backend: backendInfo(),
    networks: Object.fromEntries([...described, ...passes]),
    results,
    figures,
  };
}

/** The report as a table for each network. */
export function describeKeeping({ backend, networks, results }: KeepingReport): string {
  const tables = Object.entries(networks).map(([name, what]) => {
    const own = results.filter((r) => r.network === name);
    const [nothing] = own;
    const rows = own.map((r) => [
      r.keep,
      `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)} … ${r.slowest.toFixed(1)})`,
      r.ofNothing.toFixed(2),
      mebibytes(r.peak),
      (r.peak / nothing!.peak).toFixed(1),
    ]);
    const header = ['keep', 'ms (fastest … slowest)', 'of nothing', 'peak, MiB', 'times nothing'];
    return `${name}: ${what}\n\n${formatTable(header, rows)}`;
  });
  return [
    `One training step, backend ${backend.name}, ${backend.details.threads ?? 1} thread(s): medians of turns, and of their ` +
      'ratios. Peak: above parameters, gradients, Adam state and the batch.',
    ...tables,
  ].join('\n\n');
}

async function measureNetwork(
  name: string,
  network: Network,
  repeats: number,
): Promise<KeepingRow[]> {
  const training = trainingOf(await makeTrainingProblem(network));
  const stepWith = (keep: KeepLevel) => {
    const differentiate = () => keeping(keep, () => training.differentiate());
    return optimizing({ ...training, differentiate });
  };
  // They are made in each step.
  const gradients = training.network.parameters.reduce((sum, p) => sum + p.size, 0);
  const setAside = gradients * bytesPerNumber;
  const rows = await measureSteps(name, stepWith, { repeats, setAside });
  training.network.dispose();
  return rows;
}

async function measureSteps(
  name: string,
  stepWith: (keep: KeepLevel) => () => unknown,
  { repeats, setAside = 0 }: { readonly repeats: number; readonly setAside?: number },
): Promise<KeepingRow[]> {
  const contestants = levels.map((keep) => ({
    keep,
    times: [] as number[],
    step: stepWith(keep),
  }));
  const peaks: number[] = [];
  for (const { step } of contestants) {
    // The first step makes the optimizer's state, and compiles.
    await step();
    const before = memory().liveBytes;
    resetPeakMemory();
    await step();
    peaks.push(memory().peakBytes - before - setAside);
  }
  for (let i = 0; i < repeats; i++) {
    // Each turn begins with another one: what stands in the caches of the one before is none's advantage.
    const turn = contestants.map((_, at) => contestants[(at + i) % contestants.length]!);
    for (const { step, times } of turn) {
      const start = performance.now();
      await step();
      times.push(performance.now() - start);
    }
  }
  return contestants.map(({ keep, times }, i) => {
    const ratios = times.map((time, turn) => time / contestants[0]!.times[turn]!);
    return { network: name, keep, ofNothing: median(ratios), peak: peaks[i]!, ...spreadOf(times) };
  });
}
