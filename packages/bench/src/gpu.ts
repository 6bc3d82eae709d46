/**
 * The `gpu` backend beside `wasm`: a 3×3 convolution, a matrix product and a training step of Glow,
 * and on WebGPU the two ways in which products are written. Where there is no GPU, or only software
 * that stands in for one, it says so and measures nothing.
 *
 * Left out: other libraries' WebGPU backends.
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
import { formatTable } from './table.ts';

/** Milliseconds of one operation on one backend. */
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
}

/** How large, how often, and whether software may stand in for a GPU (for tests only). */
export interface GpuBenchOptions {
  readonly repeats?: number;
  readonly channels?: number;
  readonly side?: number;
  readonly software?: boolean;
}

/** Runs the suite, the backends taking turns in every repeat. */
export async function measureGpu(options: GpuBenchOptions = {}): Promise<GpuReport> {
  const { repeats = 11, channels = 64, side = 512, software = false } = options;
  let gpu: Backend;
  try {
    gpu = await createGpuBackend({ mode: 'webgpu' });
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { suite: 'gpu', skipped: error.message, results: [] };
  }
  const adapter = gpu.info();
  if (!software && /swiftshader|llvmpipe|software/i.test(String(adapter.details.adapter))) {
    const skipped = `the only adapter is software (${adapter.details.adapter}).`;
    return { suite: 'gpu', adapter, skipped, results: [] };
  }
  const backends: [string, Backend][] = [
    ['gpu', gpu],
    ['gpu, gpu.js kernels only', await createGpuBackend({ mode: 'webgpu', products: 'gpujs' })],
    ['wasm', new WasmBackend()],
  ];
  const samples = new Map<string, number[]>();
  const cases = [];
  for (const [backend, made] of backends) {
    await setBackend(made);
    for (const [op, run] of operations(channels, side)) {
      await run();
      cases.push({ key: `${op}|${backend}`, made, run });
    }
  }
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const { key, made, run } of cases) {
      await setBackend(made);
      const start = performance.now();
      await run();
      const times = samples.get(key) ?? [];
      times.push(performance.now() - start);
      samples.set(key, times);
    }
  }
  const results = [...samples].map(([key, times]): GpuTiming => {
    const [op, backend] = key.split('|') as [string, string];
    times.sort((a, b) => a - b);
    const milliseconds = times[Math.floor(repeats / 2)]!;
    return { op, backend, milliseconds, fastest: times[0]!, slowest: times.at(-1)!, repeats };
  });
  return { suite: 'gpu', adapter, results: results.sort((a, b) => a.op.localeCompare(b.op)) };
}

/** The report as a table, or the reason that there is none. */
export function describeGpu({ adapter, skipped, results }: GpuReport): string {
  if (skipped !== undefined) return `No GPU was measured: ${skipped}`;
  const rows = results.map((r) => [
    r.op,
    r.backend,
    r.milliseconds.toFixed(2),
    `${r.fastest.toFixed(2)} … ${r.slowest.toFixed(2)}`,
  ]);
  return [
    `Adapter: ${adapter?.details.adapter}. Milliseconds until the result can be read, medians.`,
    '',
    formatTable(['operation', 'backend', 'ms', 'fastest … slowest'], rows),
  ].join('\n');
}

/** Each ends when its result was read, which waits for the device. */
function operations(channels: number, side: number): [string, () => Promise<void>][] {
  const random = new RandomStream(1);
  const x = random.normal([8, channels, 32, 32]);
  const w = random.normal([channels, channels, 3, 3], 0.1);
  const a = random.normal([side, side]);
  const b = random.normal([side, side]);
  const images = random.normal([8, 3, 16, 16]);
  const flow = new Flow({
    network: new Glow({ channels: 3, hidden: channels, scales: 2, steps: 2 }),
  });
  return [
    [`conv 3×3 [8, ${channels}, 32, 32]`, () => finish(conv(x, w, { padding: 1 }))],
    [`product ${side}³`, () => finish(matmul(a, b))],
    [
      `Glow step, hidden ${channels}`,
      async () => {
        await finish(negativeLogLikelihood(flow, images));
        for (const p of flow.parameters) await p.grad?.data();
        zeroGrad(flow.parameters);
      },
    ],
  ];
}

async function finish(result: Tensor): Promise<void> {
  const total = sum(result);
  await total.data();
  total.dispose();
  result.dispose();
}
