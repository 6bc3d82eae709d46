/**
 * What a training step takes and holds with nothing kept between forward and backward, with what conditioners
 * leave, and with all states: the networks of `glow`, in turns, on the current backend.
 */
import { type KeepLevel, keeping } from '@invnet/layers';
import { backendInfo, memory, resetPeakMemory } from '@invnet/tensor';
import { type Spread, spreadOf } from './contest.ts';
import type { Figure } from './figures.ts';
import { describeNetwork, type Network, networks } from './networks.ts';
import { makeTrainingProblem, optimizing, trainingOf } from './peers/own-network.ts';
import { formatTable, mebibytes } from './table.ts';

/** One network with something kept. */
export interface KeepingRow extends Spread {
  readonly network: string;
  readonly keep: KeepLevel;
  /** Peak of a step above the live bytes before it and the gradients of the parameters. */
  readonly peak: number;
}

/** What `bench keep` measured. */
export interface KeepingReport {
  readonly suite: 'keep';
  readonly backend: ReturnType<typeof backendInfo>;
  readonly networks: Readonly<Record<string, Network>>;
  readonly results: readonly KeepingRow[];
  readonly figures: readonly Figure[];
}

const levels: readonly KeepLevel[] = ['nothing', 'inputs', 'all'];
const bytesPerNumber = 4;

/** Measures each network with each level. */
export async function measureKeeping(
  options: { chosen?: Readonly<Record<string, Network>>; repeats?: number } = {},
): Promise<KeepingReport> {
  const { chosen = networks, repeats = 9 } = options;
  const results: KeepingRow[] = [];
  for (const [name, network] of Object.entries(chosen)) {
    results.push(...(await measureNetwork(name, network, repeats)));
  }
  const figures = results.flatMap(({ network, keep, ...r }): Figure[] => {
    const name = `${network}, ${keep}`;
    return [
      { name, unit: 'ms', value: r.milliseconds, low: r.fastest, high: r.slowest },
      { name: `${name}, peak`, unit: 'bytes', value: r.peak, low: r.peak, high: r.peak },
    ];
  });
  return { suite: 'keep', backend: backendInfo(), networks: chosen, results, figures };
}

/** The report as a table for each network. */
export function describeKeeping({ backend, networks, results }: KeepingReport): string {
  const tables = Object.entries(networks).map(([name, network]) => {
    const own = results.filter((r) => r.network === name);
    const [nothing] = own;
    const rows = own.map((r) => [
      r.keep,
      `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)} … ${r.slowest.toFixed(1)})`,
      (r.milliseconds / nothing!.milliseconds).toFixed(2),
      mebibytes(r.peak),
      (r.peak / nothing!.peak).toFixed(1),
    ]);
    const header = ['keep', 'ms (fastest … slowest)', 'of nothing', 'peak, MiB', 'times nothing'];
    return `${name}: ${describeNetwork(network)}\n\n${formatTable(header, rows)}`;
  });
  return [
    `One training step, backend ${backend.name}, ${backend.details.threads ?? 1} thread(s). Peak: above ` +
      'parameters, gradients, Adam state and the batch.',
    ...tables,
  ].join('\n\n');
}

async function measureNetwork(
  name: string,
  network: Network,
  repeats: number,
): Promise<KeepingRow[]> {
  const training = trainingOf(await makeTrainingProblem(network));
  const gradients = training.network.parameters.reduce((sum, p) => sum + p.size, 0);
  const contestants = levels.map((keep) => {
    const differentiate = () => keeping(keep, () => training.differentiate());
    return { keep, times: [] as number[], step: optimizing({ ...training, differentiate }) };
  });
  const peaks: number[] = [];
  for (const { step } of contestants) {
    // The first step makes the optimizer's state, and compiles.
    await step();
    const before = memory().liveBytes;
    resetPeakMemory();
    await step();
    peaks.push(memory().peakBytes - before - gradients * bytesPerNumber);
  }
  for (let i = 0; i < repeats; i++) {
    for (const { step, times } of contestants) {
      const start = performance.now();
      await step();
      times.push(performance.now() - start);
    }
  }
  training.network.dispose();
  return contestants.map(({ keep, times }, i) => {
    return { network: name, keep, peak: peaks[i]!, ...spreadOf(times) };
  });
}
