/**
 * The `gpu` backend beside `wasm` and beside other libraries' WebGPU backends: a 3×3 convolution, a
 * matrix product and a training step of Glow, and on WebGPU the two ways in which our products are
 * written. Where there is no GPU, or only software that stands in for one, it says so and measures
 * nothing.
 */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { zeroGrad } from '@invnet/layers';
import { Glow } from '@invnet/networks';
import {
  type Backend,
  BackendError,
  type BackendInfo,
  conv,
  matmul,
  RandomStream,
  setBackend,
  sum,
  type Tensor,
  WasmBackend,
} from '@invnet/tensor';
import { createGpuBackend } from '@invnet/tensor/gpu';
import { jaxJs } from './peers/jax.ts';
import { glowSizes, type Operation, type OperationSizes, operationNames } from './peers/peer.ts';
import { tfjs } from './peers/tfjs.ts';
import { formatTable } from './table.ts';

/** Milliseconds of one operation by one library and backend. */
export interface GpuTiming {
  readonly op: string;
  readonly backend: string;
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly repeats: number;
}

/** What `bench gpu` measured, or why it could not. */
export interface GpuReport {
  readonly suite: 'gpu';
  readonly adapter?: BackendInfo;
  readonly skipped?: string;
  readonly results: readonly GpuTiming[];
  /** Why a library has no rows. */
  readonly notes: readonly string[];
}

/** How large, how often, and whether software may stand in for a GPU (for tests only). */
export interface GpuBenchOptions extends Partial<OperationSizes> {
  readonly repeats?: number;
  readonly software?: boolean;
  /** Other libraries, which are installed on first use. Default: true. */
  readonly peers?: boolean;
}

/** What takes turns: an operation on a backend, of ours or of another library. */
interface Contender {
  readonly op: string;
  readonly backend: string;
  readonly run: () => Promise<void>;
  readonly times: number[];
}

/** Runs the suite, all contenders taking turns in every repeat. */
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
  const contenders: Contender[] = [];
  const notes: string[] = [];
  const enter = async (backend: string, operations: readonly Operation[]) => {
    for (const [op, run] of operations) {
      try {
        await run();
        contenders.push({ op, backend, run, times: [] });
      } catch (error) {
        notes.push(`${backend}, ${op}: ${reason(error)}`);
      }
    }
  };
  for (const [backend, made] of [
    ['gpu', gpu],
    ['gpu, gpu.js kernels only', await createGpuBackend({ mode: 'webgpu', products: 'gpujs' })],
    ['wasm', new WasmBackend()],
  ] as const) {
    await enter(backend, await ownOperations(made, { channels, side }));
  }
  for (const peer of peers ? [tfjs, jaxJs] : []) {
    try {
      await enter(peer.library, await peer.load({ channels, side }));
    } catch (error) {
      notes.push(`${peer.library}: ${reason(error)}`);
    }
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const { run, times } of contenders) {
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
  }
  const results = contenders.map(({ op, backend, times }): GpuTiming => {
    times.sort((a, b) => a - b);
    const milliseconds = times[Math.floor(repeats / 2)]!;
    return { op, backend, milliseconds, fastest: times[0]!, slowest: times.at(-1)!, repeats };
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
    r.backend,
    r.milliseconds.toFixed(2),
    `${r.fastest.toFixed(2)} … ${r.slowest.toFixed(2)}`,
    (r.milliseconds / (ours.get(r.op) ?? Number.NaN)).toFixed(2),
  ]);
  return [
    `Adapter: ${adapter?.details.adapter}. Milliseconds until the result can be read, medians.`,
    '',
    formatTable(['operation', 'backend', 'ms', 'fastest … slowest', 'times gpu'], rows),
    ...notes.map((note) => `Not measured: ${note}`),
  ].join('\n');
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

/** Each ends when its result was read, which waits for the device. */
async function ownOperations(backend: Backend, sizes: OperationSizes): Promise<Operation[]> {
  await setBackend(backend);
  const { channels, side } = sizes;
  const names = operationNames(sizes);
  const random = new RandomStream(1);
  const x = random.normal([8, channels, 32, 32]);
  const w = random.normal([channels, channels, 3, 3], 0.1);
  const a = random.normal([side, side]);
  const b = random.normal([side, side]);
  const glow = glowSizes(channels);
  const images = random.normal([glow.batch, glow.channels, glow.side, glow.side]);
  const flow = new Flow({ network: new Glow(glow) });
  const step = async () => {
    await finish(negativeLogLikelihood(flow, images));
    for (const p of flow.parameters) await p.grad?.data();
    zeroGrad(flow.parameters);
  };
  const runs: Operation[] = [
    [names.conv, () => finish(conv(x, w, { padding: 1 }))],
    [names.product, () => finish(matmul(a, b))],
    [names.glow, step],
  ];
  return runs.map(([name, run]) => [
    name,
    async () => {
      await setBackend(backend);
      await run();
    },
  ]);
}

async function finish(result: Tensor): Promise<void> {
  const total = sum(result);
  await total.data();
  total.dispose();
  result.dispose();
}
