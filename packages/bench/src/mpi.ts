/**
 * Training by two ranks on two cores beside one rank on one: images a second, and how much of a step goes into the
 * communicator. Every rank has as many images a step, so that two have twice as many together. Runs of both kinds take turns.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { median } from './contest.ts';
import type { Figure } from './figures.ts';
import type { RankOptions, RankReport } from './mpi-rank.ts';
import { formatTable } from './table.ts';

/** One number of ranks. */
export interface MpiTiming {
  readonly ranks: number;
  /** Milliseconds of a step: the median, and the fastest and the slowest of the turns' medians. */
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly imagesPerSecond: number;
  /** Of a step, the part in calls of the communicator: 0 to 1. */
  readonly communication: number;
}

/** What `bench mpi` measured. */
export interface MpiReport {
  readonly suite: 'mpi';
  readonly backend: string;
  readonly library: string;
  readonly parameters: number;
  readonly batch: number;
  readonly results: readonly MpiTiming[];
  readonly figures: readonly Figure[];
}

/** How much is measured. */
export interface MpiBenchOptions {
  readonly turns?: number;
  readonly steps?: number;
  readonly warmup?: number;
  readonly batch?: number;
  readonly backend?: 'native' | 'wasm';
}

/** Runs the suite. @throws Error where there is no mpirun. */
export async function measureMpi(options: MpiBenchOptions = {}): Promise<MpiReport> {
  const { turns = 9, steps = 40, warmup = 5, batch = 16, backend = 'native' } = options;
  const asked: RankOptions = { steps, warmup, batch, backend };
  const runs: RankReport[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const ranks of [1, 2]) {
      process.stderr.write(`bench: turn ${turn + 1} of ${turns}, ${ranks} rank(s) …\n`);
      runs.push(await start(ranks, asked));
    }
  }
  const results = [1, 2].map((ranks): MpiTiming => {
    const own = runs.filter((run) => run.ranks === ranks);
    const medians = own.map((run) => median(run.times)).sort((a, b) => a - b);
    const milliseconds = median(medians);
    const shares = own.map((run) => total(run.communication) / total(run.times));
    return {
      ranks,
      milliseconds,
      fastest: medians[0]!,
      slowest: medians.at(-1)!,
      imagesPerSecond: (1000 * ranks * batch) / milliseconds,
      communication: median(shares),
    };
  });
  const figures = results.map(
    (r): Figure => ({
      name: `Glow step, ${r.ranks} rank(s)`,
      ...{ unit: 'ms', value: r.milliseconds, low: r.fastest, high: r.slowest },
    }),
  );
  const { library, parameters } = runs.at(-1)!;
  return { suite: 'mpi', backend: runs[0]!.backend, library, parameters, batch, results, figures };
}

/** The report as a table. */
export function describeMpi(report: MpiReport): string {
  const { backend, library, parameters, batch, results } = report;
  const [one, two] = results;
  const rows = results.map((r) => [
    String(r.ranks),
    `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)}–${r.slowest.toFixed(1)})`,
    r.imagesPerSecond.toFixed(0),
    `${(100 * r.communication).toFixed(1)} %`,
  ]);
  return [
    `Training steps of glow-mnist's network, ${batch} images on each rank, ${parameters} parameters ` +
      `(${(4 * parameters).toLocaleString('en')} bytes of gradients), backend ${backend}, one thread a rank; ${library}.`,
    '',
    formatTable(['ranks', 'ms a step', 'images/s', 'in the communicator'], rows),
    '',
    `Two ranks train ${(two!.imagesPerSecond / one!.imagesPerSecond).toFixed(2)} times as many images a second.`,
  ].join('\n');
}

function start(ranks: number, asked: RankOptions): Promise<RankReport> {
  const program = fileURLToPath(new URL('./mpi-rank.ts', import.meta.url));
  const args = ['-n', String(ranks), process.execPath, program, JSON.stringify(asked)];
  const env = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
  const child = spawn('mpirun', args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => {
      reject(new Error('mpirun cannot be started: apt-get install openmpi-bin.', { cause }));
    });
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(printed));
      else reject(new Error(`mpirun -n ${ranks} ended with ${code}.`));
    });
  });
}

function total(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0);
}
