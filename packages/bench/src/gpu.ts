/**
 * The `gpu` backend beside `wasm` and beside other libraries' WebGPU backends: a 3×3 convolution, a
 * matrix product and a training step of Glow, and on WebGPU the two ways in which our products are
 * written. Every library computes on the same numbers, and its results are compared with ours
 * before it is timed. Where there is no GPU, or only software that stands in for one, it says so
 * and measures nothing.
 */
import { type Backend, BackendError, type BackendInfo, WasmBackend } from '@invnet/tensor';
import { createGpuBackend } from '@invnet/tensor/gpu';
import { jaxJs } from './peers/jax.ts';
import { makeProblem, ownOperations } from './peers/ours.ts';
import {
  type Operation,
  type OperationSizes,
  type Results,
  relativeDifference,
} from './peers/peer.ts';
import { tfjs } from './peers/tfjs.ts';
import { formatTable } from './table.ts';

/** Milliseconds of one operation by one library on one of its backends. */
export interface GpuTiming {
  readonly op: string;
  readonly library: string;
  readonly backend: string;
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly repeats: number;
  /** Of the result from that of our `gpu`, relative to the largest number; the worst of its arrays. */
  readonly difference: number;
}

/** Why a library, or one operation of it, has no time. */
export interface GpuNote {
  readonly op?: string;
  readonly library: string;
  readonly backend: string;
  readonly note: string;
}

/** What `bench gpu` measured, or why it could not. */
export interface GpuReport {
  readonly suite: 'gpu';
  readonly adapter?: BackendInfo;
  readonly skipped?: string;
  readonly results: readonly GpuTiming[];
  readonly notes: readonly GpuNote[];
}

/** How large, how often, and whether software may stand in for a GPU (for tests only). */
export interface GpuBenchOptions extends Partial<OperationSizes> {
  readonly repeats?: number;
  readonly software?: boolean;
  /** Other libraries, which are installed on first use. Default: true. */
  readonly peers?: boolean;
}

/** What takes turns: the operations of a library on a backend. */
interface Contestant {
  readonly library: string;
  readonly backend: string;
  readonly load: () => Promise<readonly Operation[]>;
}

/** An operation of a contestant, with its times so far. */
interface Entry {
  readonly op: string;
  readonly library: string;
  readonly backend: string;
  readonly difference: number;
  readonly run: () => Promise<void>;
  readonly times: number[];
}

/** Results differ by rounding only; more than this, and the times are of something else. */
const tolerance = 1e-3;

/** Runs the suite, all contestants taking turns in every repeat. */
export async function measureGpu(options: GpuBenchOptions = {}): Promise<GpuReport> {
  const { repeats = 11, channels = 64, side = 512, software = false, peers = true } = options;
  let gpu: Backend;
  try {
    gpu = await createGpuBackend({ mode: 'webgpu' });
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { suite: 'gpu', skipped: error.message, results: [], notes: [] };
  }
  const adapter = gpu.info();
  if (!software && /swiftshader|llvmpipe|software/i.test(String(adapter.details.adapter))) {
    const skipped = `the only adapter is software (${adapter.details.adapter}).`;
    return { suite: 'gpu', adapter, skipped, results: [], notes: [] };
  }
  const wasm = new WasmBackend();
  const problem = await makeProblem(wasm, { channels, side });
  const ours = (backend: string, made: Backend): Contestant => ({
    library: 'invnet',
    backend,
    load: () => ownOperations(made, problem),
  });
  const contestants = [
    ours('gpu', gpu),
    ours('gpu, gpu.js kernels only', await createGpuBackend({ mode: 'webgpu', products: 'gpujs' })),
    ours('wasm', wasm),
    ...(peers ? [tfjs, jaxJs] : []).map((peer): Contestant => {
      const { library, backend } = peer;
      return { library, backend, load: () => peer.load(problem) };
    }),
  ];
  const { entries, notes } = await enter(contestants);
  const results = (await takeTurns(entries, repeats, notes)).map((entry): GpuTiming => {
    const { op, library, backend, difference } = entry;
    const times = entry.times.sort((a, b) => a - b);
    const milliseconds = times[Math.floor(repeats / 2)]!;
    const [fastest, slowest] = [times[0]!, times.at(-1)!];
    return { op, library, backend, milliseconds, fastest, slowest, repeats, difference };
  });
  results.sort((a, b) => a.op.localeCompare(b.op));
  return { suite: 'gpu', adapter, results, notes };
}

/** The report as a table, or the reason that there is none. */
export function describeGpu({ adapter, skipped, results, notes }: GpuReport): string {
  if (skipped !== undefined) return `No GPU was measured: ${skipped}`;
  const ours = new Map(
    results.filter((r) => r.backend === 'gpu').map((r) => [r.op, r.milliseconds]),
  );
  const rows = results.map((r) => [
    r.op,
    `${r.library}, ${r.backend}`,
    r.milliseconds.toFixed(2),
    `${r.fastest.toFixed(2)} … ${r.slowest.toFixed(2)}`,
    (r.milliseconds / (ours.get(r.op) ?? Number.NaN)).toFixed(2),
    r.difference.toExponential(0),
  ]);
  const absent = notes.map((n) => [
    n.op ?? 'all operations',
    `${n.library}, ${n.backend}`,
    ...['—', '—', '—', '—'],
  ]);
  const header = ['operation', 'library', 'ms', 'fastest … slowest', 'times ours', 'difference'];
  return [
    `Adapter: ${adapter?.details.adapter}. Milliseconds until the result can be read, medians.`,
    '',
    formatTable(header, [...rows, ...absent]),
    ...notes.map((n) => `${n.library}, ${n.op ?? 'all operations'}: ${n.note}`),
  ].join('\n');
}

/** Loads all, runs each operation once, and keeps those whose result is that of the first. */
async function enter(contestants: readonly Contestant[]) {
  const entries: Entry[] = [];
  const notes: GpuNote[] = [];
  const expected = new Map<string, Results>();
  for (const { library, backend, load } of contestants) {
    let operations: readonly Operation[] = [];
    try {
      operations = await load();
    } catch (error) {
      notes.push({ library, backend, note: reason(error) });
    }
    for (const { name: op, run, result } of operations) {
      try {
        const values = await result();
        if (!expected.has(op)) expected.set(op, values);
        const difference = relativeDifference(expected.get(op)!, values);
        if (difference > tolerance) {
          throw new Error(`not timed: its result is ${difference} from ours, relative.`);
        }
        await run();
        entries.push({ op, library, backend, difference, run, times: [] });
      } catch (error) {
        notes.push({ op, library, backend, note: reason(error) });
      }
    }
  }
  return { entries, notes };
}

/** Times every entry once in each repeat; one that fails leaves with a note. */
async function takeTurns(entries: readonly Entry[], repeats: number, notes: GpuNote[]) {
  let running = entries;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const failed = new Set<Entry>();
    for (const entry of running) {
      const start = performance.now();
      try {
        await entry.run();
        entry.times.push(performance.now() - start);
      } catch (error) {
        const { op, library, backend } = entry;
        notes.push({ op, library, backend, note: reason(error) });
        failed.add(entry);
      }
    }
    running = running.filter((entry) => !failed.has(entry));
  }
  return running;
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
