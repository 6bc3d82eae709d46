/**
 * Peak memory of one training step of Glow at growing depth. Bytes are those of the backend's own
 * account, so they are exact and the same on every machine.
 *
 * Parameters, their gradients and the optimizer's state are set aside: they grow with depth in any
 * framework. What stored activations would take is not measured but computed from shapes.
 */
import { Flow, negativeLogLikelihood } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { backendInfo, memory, RandomStream, resetPeakMemory, zerosLike } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { formatTable, mebibytes } from './table.ts';

/** The network and the batch, but for the depth. */
export interface MemoryConfig {
  readonly batch: number;
  readonly channels: number;
  readonly side: number;
  readonly hidden: number;
  readonly scales: number;
}

/** One depth. */
export interface MemoryRow {
  /** Flow steps per scale. */
  readonly steps: number;
  /** Live bytes before the step: parameters, gradients, optimizer state and the batch. */
  readonly liveBefore: number;
  readonly liveAfter: number;
  /** Peak of the step above `liveBefore`. */
  readonly peak: number;
  readonly ratioToFirst: number;
  /** Bytes of activations that a framework would store, from shapes; see `storedActivations`. */
  readonly storedActivations: number;
}

/** What `bench memory` measured. */
export interface MemoryReport {
  readonly suite: 'memory';
  readonly backend: ReturnType<typeof backendInfo>;
  readonly config: MemoryConfig;
  readonly results: readonly MemoryRow[];
}

const defaultConfig: MemoryConfig = { batch: 4, channels: 3, side: 32, hidden: 32, scales: 2 };
const defaultDepths = [4, 8, 16, 32, 64];
const bytesPerNumber = 4;

/** Measures each depth on the current backend. */
export async function measureMemory(
  options: { config?: MemoryConfig; depths?: readonly number[] } = {},
): Promise<MemoryReport> {
  const { config = defaultConfig, depths = defaultDepths } = options;
  const results: MemoryRow[] = [];
  for (const steps of depths) {
    const measured = await measureStep(config, steps);
    const ratioToFirst = measured.peak / (results[0]?.peak ?? measured.peak);
    const stored = storedActivations(config, steps);
    results.push({ steps, ...measured, ratioToFirst, storedActivations: stored });
  }
  return { suite: 'memory', backend: backendInfo(), config, results };
}

/** The report as a table. */
export function describeMemory({ backend, config, results }: MemoryReport): string {
  const rows = results.map((r) => [
    String(r.steps),
    mebibytes(r.peak),
    r.ratioToFirst.toFixed(3),
    mebibytes(r.storedActivations),
    mebibytes(r.liveBefore),
    mebibytes(r.liveAfter),
  ]);
  const { batch, channels, side, hidden, scales } = config;
  return [
    `One training step of Glow: batch [${batch}, ${channels}, ${side}, ${side}], ${scales} scales, ` +
      `${hidden} hidden channels, backend ${backend.name}; MiB.`,
    'Peak: above the live bytes before the step (parameters, gradients, Adam state, the batch).',
    'Stored activations: what automatic differentiation would keep, computed from shapes alone.',
    '',
    formatTable(
      ['K', 'peak', 'ratio to first', 'stored activations', 'live before', 'live after'],
      rows,
    ),
  ].join('\n');
}

/**
 * What backpropagation with stored activations keeps, in bytes. For each flow step, per position:
 * the outputs of ActNorm (C) and Conv1x1 (C), the conditioner's two hidden layers (2·hidden) and
 * its output (C), the scale (C/2) and the coupling's output (C). Workspace and gradients of
 * activations would come on top.
 */
export function storedActivations(config: MemoryConfig, steps: number): number {
  let { channels, side } = config;
  let numbers = 0;
  for (let scale = 0; scale < config.scales; scale++) {
    channels *= 4;
    side /= 2;
    const perPosition = 4.5 * channels + 2 * config.hidden;
    numbers += steps * config.batch * side * side * perPosition;
    // Half of the channels leave before the next scale.
    channels = Math.ceil(channels / 2);
  }
  return numbers * bytesPerNumber;
}

async function measureStep(
  { batch, channels, side, hidden, scales }: MemoryConfig,
  steps: number,
): Promise<Pick<MemoryRow, 'liveBefore' | 'liveAfter' | 'peak'>> {
  const random = new RandomStream(1);
  const flow = new Flow({ network: new Glow({ channels, hidden, scales, steps, random }) });
  const { parameters } = flow;
  const optimizer = new Adam();
  using x = random.uniform([batch, channels, side, side]);
  // Gradients are there before the step, and keep their memory, so that none of it is taken for
  // that of activations.
  for (const p of parameters) {
    using zeros = zerosLike(p.data);
    p.accumulateGrad(zeros);
  }
  const step = async () => {
    using loss = negativeLogLikelihood(flow, x);
    optimizer.step(parameters, { learningRate: 1e-4 });
    await loss.data();
  };
  // The first step initializes by the data, and makes the optimizer's state.
  await step();
  const liveBefore = memory().liveBytes;
  resetPeakMemory();
  await step();
  const { liveBytes: liveAfter, peakBytes } = memory();
  optimizer.dispose();
  flow.dispose();
  return { liveBefore, liveAfter, peak: peakBytes - liveBefore };
}
