/**
 * How a training step of a 3D Glow grows with the volume, and with depth: its time, its peak memory
 * above parameters, gradients and optimizer state, and the linear memory of the whole backend.
 */
import process from 'node:process';
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { backendInfo, memory, RandomStream, resetPeakMemory } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { spreadOf } from './contest.ts';
import type { Figure } from './figures.ts';
import { formatTable, mebibytes } from './table.ts';

/** One network on one volume. */
export interface ScalingRow {
  /** Which series it belongs to. */
  readonly series: 'volume' | 'depth' | 'large';
  readonly side: number;
  /** Flow steps per scale. */
  readonly steps: number;
  readonly milliseconds: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly peak: number;
  /** Bytes of the backend's linear memory. */
  readonly memoryBytes: number;
}

/** What `bench scaling` measured. */
export interface ScalingReport {
  readonly suite: 'scaling';
  readonly backend: ReturnType<typeof backendInfo>;
  readonly hidden: number;
  readonly results: readonly ScalingRow[];
  readonly figures: readonly Figure[];
}

/** Sides of the volumes at `shallow` steps, depths at one side, and a deep network on a large one. */
export interface ScalingOptions {
  readonly hidden?: number;
  readonly sides?: readonly number[];
  readonly shallow?: number;
  readonly depths?: readonly number[];
  readonly depthSide?: number;
  readonly large?: { readonly side: number; readonly steps: number };
}

/** Runs the suite on the current backend; small volumes first, since linear memory only grows. */
export async function measureScaling(options: ScalingOptions = {}): Promise<ScalingReport> {
  const { hidden = 16, sides = [16, 32, 64, 128], shallow = 2 } = options;
  const { depths = [4, 16, 64, 256], depthSide = 16 } = options;
  const { large = { side: 128, steps: 16 } } = options;
  const results: ScalingRow[] = [];
  const add = async (series: ScalingRow['series'], side: number, steps: number) => {
    process.stderr.write(`bench: ${side}³ voxels, K = ${steps} …\n`);
    results.push({ series, side, steps, ...(await measure(hidden, side, steps)) });
  };
  for (const steps of depths) await add('depth', depthSide, steps);
  for (const side of sides) await add('volume', side, shallow);
  await add('large', large.side, large.steps);
  const figures = results.flatMap((r): Figure[] => {
    const name = `${r.side}³, K = ${r.steps}`;
    return [
      { name, unit: 'ms', value: r.milliseconds, low: r.fastest, high: r.slowest },
      { name: `${name}, peak`, unit: 'bytes', value: r.peak, low: r.peak, high: r.peak },
    ];
  });
  return { suite: 'scaling', backend: backendInfo(), hidden, results, figures };
}

/** The report as two tables, and the large network. */
export function describeScaling({ backend, hidden, results }: ScalingReport): string {
  const of = (series: ScalingRow['series']) => results.filter((r) => r.series === series);
  const [volumes, depths] = [of('volume'), of('depth')];
  const byVolume = volumes.map((r) => {
    const voxels = r.side ** 3;
    const nanoseconds = (1e6 * r.milliseconds) / voxels;
    return [
      `${r.side}³`,
      r.milliseconds.toFixed(1),
      nanoseconds.toFixed(0),
      mebibytes(r.peak),
      (r.peak / voxels).toFixed(0),
    ];
  });
  const byDepth = depths.map((r) => [
    String(r.steps),
    r.milliseconds.toFixed(1),
    (r.milliseconds / r.steps).toFixed(2),
    mebibytes(r.peak),
    (r.peak / depths[0]!.peak).toFixed(3),
  ]);
  const large = of('large').map(
    (r) =>
      `${r.side}³ voxels at K = ${r.steps}: ${(r.milliseconds / 1000).toFixed(1)} s a step, peak ` +
      `${mebibytes(r.peak)} MiB, linear memory ${mebibytes(r.memoryBytes)} MiB in all.`,
  );
  return [
    `One training step of a 3D Glow on [1, 1, D, D, D], 2 scales, ${hidden} hidden channels, backend ` +
      `${backend.name}, ${backend.details.threads ?? 1} thread(s). Peak: above parameters, gradients ` +
      'and Adam state.',
    '',
    formatTable(['voxels', 'ms', 'ns per voxel', 'peak, MiB', 'bytes per voxel'], byVolume),
    '',
    `${depths[0]?.side}³ voxels:`,
    '',
    formatTable(['K', 'ms', 'ms per K', 'peak, MiB', 'ratio to first'], byDepth),
    '',
    ...large,
  ].join('\n');
}

async function measure(hidden: number, side: number, steps: number) {
  const random = new RandomStream(1);
  const network = new Glow({ channels: 1, hidden, scales: 2, steps, ndims: 3, random });
  const flow = new Flow({ network });
  const { parameters } = flow;
  const optimizer = new Adam();
  using x = random.uniform([1, 1, side, side, side]);
  const step = async () => {
    using loss = negativeLogLikelihood(flow, x);
    optimizer.step(parameters, { learningRate: 1e-6 });
    await loss.data();
  };
  // The first step initializes by the data, and makes gradients and moments, which stay.
  await step();
  const before = memory().liveBytes;
  resetPeakMemory();
  const times: number[] = [];
  const enough = performance.now() + 3000;
  do {
    const start = performance.now();
    await step();
    times.push(performance.now() - start);
  } while (performance.now() < enough && times.length < 15);
  const peak = memory().peakBytes - before;
  const { milliseconds, fastest, slowest } = spreadOf(times);
  const memoryBytes = Number(backendInfo().details.memoryBytes ?? 0);
  optimizer.dispose();
  flow.dispose();
  return { milliseconds, fastest, slowest, peak, memoryBytes };
}
