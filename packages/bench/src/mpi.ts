/**
 * Training by two ranks on two cores beside one rank on one: images a second, and how much of a step goes into the
 * communicator. Every rank has as many images a step, so that two have twice as many together. Beside them stand two
 * processes that train at the same time and know nothing of each other, the most that the machine lets two ranks have.
 * Runs of all kinds take turns; steps are timed once the engine has compiled what they run.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { median } from './contest.ts';
import type { Figure } from './figures.ts';
import type { RankOptions, RankReport } from './mpi-rank.ts';
import { formatTable } from './table.ts';

/** One way to train. */
interface Way {
  readonly processes: number;
  /** Are they ranks of one run, or each a run of its own? */
  readonly together: boolean;
}

/** What one way took. */
export interface MpiTiming extends Way {
  /** Milliseconds of a step, a run's time over its steps: the median of the runs, the fastest and the slowest. */
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

const ways: readonly Way[] = [
  { processes: 1, together: true },
  { processes: 2, together: true },
  { processes: 2, together: false },
];

function inWords({ processes, together }: Way): string {
  if (!together) return `${processes} by themselves`;
  return processes === 1 ? '1 rank' : `${processes} ranks`;
}

/** Runs the suite. @throws Error where there is no mpirun. */
export async function measureMpi(options: MpiBenchOptions = {}): Promise<MpiReport> {
  const { turns = 9, steps = 60, warmup = 60, batch = 16, backend = 'native' } = options;
  const asked: RankOptions = { steps, warmup, batch, backend };
  const runs = ways.map((): RankReport[] => []);
  for (let turn = 0; turn < turns; turn++) {
    for (const [i, way] of ways.entries()) {
      process.stderr.write(`bench: turn ${turn + 1} of ${turns}, ${inWords(way)} …\n`);
      const { processes, together } = way;
      const counts = together ? [processes] : new Array<number>(processes).fill(1);
      runs[i]!.push(...(await Promise.all(counts.map((ranks) => start(ranks, asked, together)))));
    }
  }
  const results = ways.map((way, i): MpiTiming => {
    // What slows a rank for some of its steps slows all that wait for it, so times are of whole runs.
    const means = runs[i]!.map(({ times }) => total(times) / times.length).sort((a, b) => a - b);
    const milliseconds = median(means);
    const shares = runs[i]!.map((run) => total(run.communication) / total(run.times));
    return {
      ...way,
      milliseconds,
      fastest: means[0]!,
      slowest: means.at(-1)!,
      imagesPerSecond: (1000 * way.processes * batch) / milliseconds,
      communication: median(shares),
    };
  });
  const figures = results.map(
    (r): Figure => ({
      name: `Glow step, ${inWords(r)}`,
      ...{ unit: 'ms', value: r.milliseconds, low: r.fastest, high: r.slowest },
    }),
  );
  // One rank alone needs no library, so two of one run tell which it was.
  const { library, parameters, backend: used } = runs[1]![0]!;
  return { suite: 'mpi', backend: used, library, parameters, batch, results, figures };
}

/** The report as a table. */
export function describeMpi(report: MpiReport): string {
  const { backend, library, parameters, batch, results } = report;
  const [one, two, apart] = results;
  const times = (r: MpiTiming) => (r.imagesPerSecond / one!.imagesPerSecond).toFixed(2);
  const rows = results.map((r) => [
    inWords(r),
    `${r.milliseconds.toFixed(1)} (${r.fastest.toFixed(1)}–${r.slowest.toFixed(1)})`,
    r.imagesPerSecond.toFixed(0),
    `${(100 * r.communication).toFixed(1)} %`,
  ]);
  return [
    `Training steps of glow-mnist's network, ${batch} images on each rank, ${parameters} parameters ` +
      `(${(4 * parameters).toLocaleString('en')} bytes of gradients), backend ${backend}, one thread a rank; ${library}.`,
    '',
    formatTable(['processes', 'ms a step', 'images/s', 'in the communicator'], rows),
    '',
    `Two ranks train ${times(two!)} times as many images a second, two that do not wait for each other ${times(apart!)} times.`,
  ].join('\n');
}

function start(ranks: number, asked: RankOptions, bound: boolean): Promise<RankReport> {
  const program = fileURLToPath(new URL('./mpi-rank.ts', import.meta.url));
  // Runs beside each other would each bind their only rank to the first core.
  const binding = bound ? [] : ['--bind-to', 'none'];
  const args = [...binding, '-n', String(ranks), process.execPath, program, JSON.stringify(asked)];
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
