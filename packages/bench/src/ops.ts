/**
 * Speed of the operations that training spends its time in, as shares of the machine's multiply-add
 * peak and beside other libraries: the 3×3 convolution of [8, 64, 32, 32] to 64 channels with its two
 * gradients, the 1×1 convolution, and a product of 512 × 512 matrices.
 *
 * Times are wall-clock times of whole calls, memory for the result included, after a warm-up. Flops
 * are those of the direct method, so that a method that takes fewer may pass the peak.
 */
import { type Backend, backendInfo, getBackend } from '@invnet/tensor';
import { type Contestant, hold, type Note, type Timing } from './contest.ts';
import type { Figure } from './figures.ts';
import { startPeak } from './peak.ts';
import { jaxJs } from './peers/jax.ts';
import { onnxruntime } from './peers/onnxruntime.ts';
import { makeProblem, ownOperations } from './peers/ours.ts';
import { type OperationSizes, operationNames, type Wanted } from './peers/peer.ts';
import { tfjs } from './peers/tfjs.ts';
import { formatTable } from './table.ts';

/** One row: an operation by a library. */
export interface OpTiming extends Timing {
  /** GFLOP/s at the median; a multiplication and an addition count as two. */
  readonly gflops: number;
  /** Of the peak. */
  readonly share: number;
  /** How many times as fast ours is. */
  readonly ratio: number;
}

/** What `bench ops` measured. */
export interface OpsReport {
  readonly suite: 'ops';
  readonly backend: ReturnType<typeof backendInfo>;
  /** Median GFLOP/s of the machine on as many threads. */
  readonly peak: number;
  readonly results: readonly OpTiming[];
  readonly notes: readonly Note[];
  readonly figures: readonly Figure[];
}

/** How large, how often, and whether others take part. */
export interface OpsOptions extends Partial<OperationSizes> {
  readonly repeats?: number;
  /** Other libraries, which are installed on first use. Default: true. */
  readonly peers?: boolean;
}

const wanted: Wanted = ['conv', 'inputGrad', 'filterGrad', 'pointwise', 'product'];
const ours = 'invnet';
/** Milliseconds after which a slow library takes no further turn. */
const patience = 3000;

/** Runs the suite on the current backend. */
export async function measureOps(options: OpsOptions = {}): Promise<OpsReport> {
  const { repeats = 31, channels = 64, side = 512, peers = true } = options;
  const backend: Backend = getBackend();
  const info = backendInfo();
  const threads = Number(info.details.threads ?? 1);
  const problem = await makeProblem(backend, { channels, side });
  const others = [tfjs('wasm'), tfjs('cpu'), jaxJs('wasm'), onnxruntime(threads)];
  const peak = await startPeak(threads);
  const rates: number[] = [];
  const machine: Contestant = {
    library: 'machine',
    backend: 'peak',
    load: async () => [
      {
        name: 'multiply-add peak',
        run: async () => {
          rates.push(await peak.measure());
        },
      },
    ],
  };
  const contestants: Contestant[] = [
    machine,
    { library: ours, backend: info.name, load: () => ownOperations(backend, problem, wanted) },
    ...(peers ? others : []).map((peer): Contestant => {
      const { library, backend } = peer;
      return { library, backend, load: () => peer.load(problem, wanted) };
    }),
  ];
  const { results, notes } = await hold(contestants, { repeats, patience, warmUp: 50 });
  await peak.close();
  const top = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)]!;
  const names = operationNames({ channels, side });
  const convFlops = 2 * 8 * 32 * 32 * channels * channels;
  const flops: Readonly<Record<string, number>> = {
    [names.conv]: 9 * convFlops,
    [names.inputGrad]: 9 * convFlops,
    [names.filterGrad]: 9 * convFlops,
    [names.pointwise]: convFlops,
    [names.product]: 2 * side ** 3,
  };
  const timed = results.filter((r) => r.library !== machine.library);
  const own = new Map(timed.filter((r) => r.library === ours).map((r) => [r.op, r.milliseconds]));
  const rows = timed.map((r): OpTiming => {
    const gflops = flops[r.op]! / r.milliseconds / 1e6;
    return { ...r, gflops, share: gflops / top, ratio: r.milliseconds / own.get(r.op)! };
  });
  const order = Object.keys(flops);
  rows.sort((a, b) => order.indexOf(a.op) - order.indexOf(b.op));
  const figures = rows
    .filter((r) => r.library === ours)
    .map(({ op, milliseconds: value, fastest: low, slowest: high }): Figure => {
      return { name: op, unit: 'ms', value, low, high };
    });
  return { suite: 'ops', backend: info, peak: top, results: rows, notes, figures };
}

/** The report as a table. */
export function describeOps({ backend, peak, results, notes }: OpsReport): string {
  const rows = results.map((r) => [
    r.op,
    `${r.library}, ${r.backend}`,
    r.gflops.toFixed(1),
    `${r.milliseconds.toFixed(2)} (${r.fastest.toFixed(2)} … ${r.slowest.toFixed(2)})`,
    `${(100 * r.share).toFixed(0)} %`,
    r.library === ours ? '' : r.ratio.toFixed(2),
  ]);
  const header = [
    'operation',
    'library',
    'GFLOP/s',
    'ms (fastest … slowest)',
    'of peak',
    'ours is',
  ];
  return [
    `Backend ${backend.name}, ${backend.details.simd ?? ''}${backend.details.wide ? ', wide' : ''}, ` +
      `${backend.details.threads ?? 1} ` +
      `thread(s). Multiply-add peak on as many: ${peak.toFixed(1)} GFLOP/s. Medians of turns; flops ` +
      'of the direct method; "ours is" so many times as fast.',
    '',
    formatTable(header, rows),
    ...notes.map((n) => `${n.library}, ${n.backend}, ${n.op ?? 'all operations'}: ${n.note}`),
  ].join('\n');
}
