/**
 * The `gpu` backend beside `wasm` and beside other libraries' WebGPU backends: a 3×3 convolution, a
 * matrix product and a training step of Glow, at two sizes, and on WebGPU the two ways in which our
 * kernels are written. Every library computes on the same numbers, and its results are compared with ours
 * before it is timed. Where there is no GPU, or only software that stands in for one, it says so
 * and measures nothing.
 */
import { type Backend, BackendError, type BackendInfo, WasmBackend } from '@invnet/tensor';
import { createGpuBackend } from '@invnet/tensor/gpu';
import { type Contestant, hold, type Note, type Timing } from './contest.ts';
import { jaxJs } from './peers/jax.ts';
import { makeProblem, ownOperations } from './peers/ours.ts';
import type { GlowSizes, Operation, OperationSizes, Wanted } from './peers/peer.ts';
import { tfjs } from './peers/tfjs.ts';
import { formatTable } from './table.ts';

/** What `bench gpu` measured, or why it could not. */
export interface GpuReport {
  readonly suite: 'gpu';
  readonly adapter?: BackendInfo;
  readonly skipped?: string;
  readonly results: readonly Timing[];
  readonly notes: readonly Note[];
}

/** Sizes of the operations, and of the Glow if it is not `glowSizes` of their channels. */
type Sizes = OperationSizes & { readonly glow?: GlowSizes };

/** How large, how often, and whether software may stand in for a GPU (for tests only). */
export interface GpuBenchOptions {
  /** Default: small ones, and those with which a GPU has something to do. */
  readonly sizes?: readonly Sizes[];
  readonly repeats?: number;
  readonly software?: boolean;
  /** Other libraries, which are installed on first use. Default: true. */
  readonly peers?: boolean;
}

const wanted: Wanted = ['conv', 'product', 'glow'];

const usual: readonly Sizes[] = [
  { channels: 64, side: 512 },
  {
    channels: 128,
    side: 2048,
    glow: { batch: 16, channels: 3, side: 64, hidden: 128, scales: 3, steps: 4 },
  },
];

/** Milliseconds of runs before the one that is timed: a GPU that was idle is slow at first. */
const warmUp = 200;

/** Runs the suite, all contestants taking turns in every repeat. */
export async function measureGpu(options: GpuBenchOptions = {}): Promise<GpuReport> {
  const { repeats = 11, sizes = usual, software = false, peers = true } = options;
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
  const translated = await createGpuBackend({ mode: 'webgpu', products: 'gpujs' });
  const results: Timing[] = [];
  const notes: Note[] = [];
  for (const { glow, ...operations } of sizes) {
    const problem = await makeProblem(wasm, operations, glow);
    const compared = (all: Operation[]) => (glow ? all.map(byLoss) : all);
    const ours = (backend: string, made: Backend): Contestant => ({
      library: 'invnet',
      backend,
      load: async () => compared(await ownOperations(made, problem, wanted)),
    });
    const contestants = [
      ours('gpu', gpu),
      ours('gpu, gpu.js kernels only', translated),
      ours('wasm', wasm),
      ...(peers ? [tfjs('webgpu'), jaxJs('webgpu')] : []).map((peer): Contestant => {
        const { library, backend } = peer;
        return { library, backend, load: async () => compared(await peer.load(problem, wanted)) };
      }),
    ];
    const held = await hold(contestants, { repeats, warmUp });
    results.push(...held.results);
    notes.push(...held.notes);
  }
  results.sort((a, b) => a.op.localeCompare(b.op));
  return { suite: 'gpu', adapter, results, notes };
}

/**
 * A step of training of which the loss alone is compared. In a large network some ReLUs meet a number that
 * rounding moves across zero, and a gradient moves with each: two builds of wasm are 3e-3 apart in the
 * worst entry, and 4e-7 in half of the arrays.
 */
function byLoss(operation: Operation): Operation {
  const { name, result } = operation;
  if (!name.startsWith('Glow') || !result) return operation;
  return { ...operation, result: async () => (await result()).slice(0, 1) };
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
    r.difference?.toExponential(0) ?? '—',
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
