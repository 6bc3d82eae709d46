/**
 * Speed of the operations that training spends its time in, as shares of the machine's multiply-add
 * peak, on each of our backends and beside other libraries: the 3×3 convolution of [8, 64, 32, 32] to 64
 * channels with its two gradients, the 1×1 convolution, and a product of 512 × 512 matrices; and on our backends the
 * convolutions of couplings, which have many channels on one side and few on the other.
 *
 * Times are wall-clock times of whole calls, memory for the result included, after a warm-up. Flops
 * are those of the direct method, so that a method that takes fewer may pass the peak.
 */
import { cpus } from 'node:os';
import { WasmBackend } from '@invnet/tensor';
import { type Contestant, hold, type Note, type Timing } from './contest.ts';
import type { Figure } from './figures.ts';
import { commonPeak, describePeaks, type Peaks, peakProcesses, peaksOf } from './machine.ts';
import { ownBackends, threadsInWords } from './own-backends.ts';
import { type ConvCase, caseName, convFlops, directions } from './peers/conv-case.ts';
import { jaxJs } from './peers/jax.ts';
import { onnxruntime } from './peers/onnxruntime.ts';
import { makeProblem } from './peers/ours.ts';
import { type OperationSizes, operationNames, wantedOps } from './peers/peer.ts';
import { type Served, serve } from './peers/process.ts';
import { tfjs } from './peers/tfjs.ts';
import { formatTable } from './table.ts';

/** One row: an operation by a library. */
export interface OpTiming extends Timing {
  /** GFLOP/s at the median; a multiplication and an addition count as two. */
  readonly gflops: number;
  /** Of the peak in 256 bits, or in 128 where there is none. */
  readonly share: number;
  /** How many times as fast our fastest backend is. */
  readonly ratio: number;
}

/** What `bench ops` measured. */
export interface OpsReport {
  readonly suite: 'ops';
  readonly threads: number;
  /** Of the machine on as many threads. */
  readonly peaks: Peaks;
  readonly results: readonly OpTiming[];
  /** Convolutions of couplings. */
  readonly couplings: readonly OpTiming[];
  readonly notes: readonly Note[];
  readonly figures: readonly Figure[];
}

/** How large, how often, on how many threads, and whether others take part. */
export interface OpsOptions extends Partial<OperationSizes> {
  readonly repeats?: number;
  readonly threads?: number;
  readonly shapes?: readonly ConvCase[];
  /** Other libraries, which are installed on first use. Default: true. */
  readonly peers?: boolean;
}

const flat = { ndims: 2, stride: 1 } as const;
/** A coupling's first and last layers, and the one between them, with 512 hidden channels and with 128. */
const couplingShapes: readonly ConvCase[] = [
  { ...flat, batch: 4, inChannels: 6, outChannels: 512, side: 16, kernel: 3 },
  { ...flat, batch: 4, inChannels: 512, outChannels: 512, side: 16, kernel: 1 },
  { ...flat, batch: 4, inChannels: 512, outChannels: 12, side: 16, kernel: 3 },
  { ...flat, batch: 4, inChannels: 512, outChannels: 48, side: 4, kernel: 3 },
  { ...flat, batch: 16, inChannels: 6, outChannels: 128, side: 32, kernel: 3 },
  { ...flat, batch: 16, inChannels: 128, outChannels: 128, side: 32, kernel: 1 },
  { ...flat, batch: 16, inChannels: 128, outChannels: 12, side: 32, kernel: 3 },
];
const ours = 'invnet';
/** Milliseconds after which a slow library takes no further turn. */
const patience = 3000;

/** Runs the suite. */
export async function measureOps(options: OpsOptions = {}): Promise<OpsReport> {
  const { repeats = 21, channels = 64, side = 512, peers = true } = options;
  const { threads = Math.min(2, cpus().length), shapes = couplingShapes } = options;
  const running: Served[] = [];
  const served = (library: string, backend: string, start: () => Promise<Served>): Contestant => ({
    library,
    backend,
    load: async () => {
      const child = await start();
      running.push(child);
      return child.operations;
    },
  });
  const problem = await makeProblem(new WasmBackend(), { channels, side });
  const others = [tfjs('wasm'), tfjs('cpu'), jaxJs('wasm'), onnxruntime(threads)];
  const sizes = [threads, channels, side].map(String);
  const backends = [...ownBackends].reverse();
  const contestants = [
    ...[...peakProcesses(threads)].map(([bits, start]) => served('machine', `${bits} bits`, start)),
    ...backends.map((backend) => {
      const start = () => serve('ops', backend, ...sizes, JSON.stringify(shapes));
      return served(ours, backend, start);
    }),
    ...(peers ? others : []).map((peer): Contestant => {
      const { library, backend } = peer;
      return { library, backend, load: () => peer.load(problem, wantedOps) };
    }),
  ];
  let held: Awaited<ReturnType<typeof hold>>;
  try {
    held = await hold(contestants, { repeats, patience, warmUp: 50 });
  } finally {
    for (const child of running) child.close();
  }
  const { results, notes } = held;
  const peaks = peaksOf(results, threads);
  const top = commonPeak(peaks);
  const names = operationNames({ channels, side });
  const flopsOfConv = 2 * 8 * 32 * 32 * channels * channels;
  const flops = new Map([
    [names.conv, 9 * flopsOfConv],
    [names.inputGrad, 9 * flopsOfConv],
    [names.filterGrad, 9 * flopsOfConv],
    [names.pointwise, flopsOfConv],
    [names.product, 2 * side ** 3],
  ]);
  const couplingFlops = new Map(
    shapes.flatMap((shape) =>
      directions.map((d): [string, number] => [caseName(shape, d), convFlops(shape)]),
    ),
  );
  const rowsOf = (flops: ReadonlyMap<string, number>): OpTiming[] =>
    [...flops].flatMap(([op, count]) => {
      const timed = results.filter((r) => r.op === op);
      // The first is the fastest backend that there is.
      const own = timed.find((r) => r.library === ours)?.milliseconds ?? Number.NaN;
      return timed.map((r): OpTiming => {
        const gflops = count / r.milliseconds / 1e6;
        return { ...r, gflops, share: gflops / top, ratio: r.milliseconds / own };
      });
    });
  const [rows, couplings] = [rowsOf(flops), rowsOf(couplingFlops)];
  const figures = [...rows, ...couplings]
    .filter((r) => r.library === ours)
    .map(({ op, backend, milliseconds: value, fastest: low, slowest: high }): Figure => {
      return { name: `${op}, ${backend}`, unit: 'ms', value, low, high };
    });
  return { suite: 'ops', threads, peaks, results: rows, couplings, notes, figures };
}

/** The report as two tables. */
export function describeOps({ threads, peaks, results, couplings, notes }: OpsReport): string {
  const rows = results.map((r) => [
    r.op,
    `${r.library}, ${r.backend}`,
    r.gflops.toFixed(1),
    `${r.milliseconds.toFixed(2)} (${r.fastest.toFixed(2)} … ${r.slowest.toFixed(2)})`,
    `${(100 * r.share).toFixed(0)} %`,
    r.ratio.toFixed(2),
  ]);
  const header = [
    'operation',
    'library',
    'GFLOP/s',
    'ms (fastest … slowest)',
    'of peak',
    'ours is',
  ];
  const backends = [...new Set(couplings.map((r) => r.backend))];
  const couplingRows = [...new Set(couplings.map((r) => r.op))].map((op) => [
    op,
    ...backends.map((backend) => {
      const row = couplings.find((r) => r.op === op && r.backend === backend);
      return row ? `${row.gflops.toFixed(1)} (${(100 * row.share).toFixed(0)} %)` : '—';
    }),
  ]);
  return [
    `On ${threadsInWords(threads)}. Multiply-add peak: ${describePeaks(peaks)}; shares are of ` +
      'that in 256 bits. Medians of turns; flops of the direct method; "ours is" so many times as fast, in its fastest ' +
      'backend.',
    '',
    formatTable(header, rows),
    ...notes.map((n) => `${n.library}, ${n.backend}, ${n.op ?? 'all operations'}: ${n.note}`),
    '',
    'Convolutions of couplings, in GFLOP/s, and as shares of that peak:',
    '',
    formatTable(['kernel and shape', ...backends], couplingRows),
  ].join('\n');
}
