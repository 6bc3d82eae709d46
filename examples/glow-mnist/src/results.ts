/** Measures a trained run and writes its results, each file whole or not at all. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadMnist } from '@invnet/datasets';
import { countParameters } from '@invnet/layers';
import { backendInfo } from '@invnet/tensor';
import { checkInverse, drawSamples, testBitsPerDim } from './evaluation.ts';
import { lossChart } from './loss-chart.ts';
import { side, trainingImages } from './model.ts';
import { imageGrid } from './pictures.ts';
import type { Run } from './run-state.ts';

const testImages = 10_000;
const shownSamples = 64;
const shownReconstructions = 16;
const inverseBatch = 64;
const temperature = 0.9;
const bytesPerNumber = 4;

/** What `metrics.json` holds. */
export interface Metrics {
  /** Of the test images, after training. */
  readonly testBitsPerDim: number;
  readonly testImages: number;
  /** Of the first training batch, before any update. */
  readonly firstBitsPerDim: number;
  /** Of the last training batch. */
  readonly lastBitsPerDim: number;
  /** max|x̂ − x| / max|x| over a test batch, x̂ being the inverse of the image's latent. */
  readonly inverseError: number;
  /** Most tensor memory that was live at once during training. */
  readonly peakBytes: number;
  readonly parameterBytes: number;
  readonly imagesPerSecond: number;
  readonly backend: string;
  readonly backendDetails: Readonly<Record<string, string | number | boolean>>;
  readonly seed: number;
  readonly trainingSteps: number;
  readonly trainingSeconds: number;
  readonly epochs: number;
  readonly sampleTemperature: number;
  readonly config: Run['config'] & Partial<Run['budget']>;
}

/** Evaluates on the test images and writes pictures, chart, losses and, last, the metrics. */
export async function writeResults(out: string, run: Run, signal: AbortSignal): Promise<Metrics> {
  const { config, budget, flow, state } = run;
  const { seed } = config;
  const data = await loadMnist({ split: 'test' });
  const bits = await testBitsPerDim(flow, data, {
    count: testImages,
    seed,
    signal,
  });
  const inverse = await checkInverse(flow, data, { count: inverseBatch, seed });
  const samples = await drawSamples(flow, { count: shownSamples, temperature, seed });
  const { name, details } = backendInfo();
  const imagesSeen = state.step * config.batch;
  const metrics: Metrics = {
    testBitsPerDim: bits,
    testImages,
    firstBitsPerDim: state.bitsPerDim[0]!,
    lastBitsPerDim: state.bitsPerDim.at(-1)!,
    inverseError: inverse.error,
    peakBytes: state.peakBytes,
    parameterBytes: countParameters(flow) * bytesPerNumber,
    imagesPerSecond: imagesSeen / state.seconds,
    backend: name,
    backendDetails: details,
    seed,
    trainingSteps: state.step,
    trainingSeconds: state.seconds,
    epochs: imagesSeen / trainingImages,
    sampleTemperature: temperature,
    config: { ...config, ...budgetInForce(budget) },
  };
  const grid = { height: side, width: side };
  const shown = shownReconstructions * side * side;
  const pairs = [
    ...inverse.images.subarray(0, shown),
    ...inverse.reconstructions.subarray(0, shown),
  ];
  const losses = state.bitsPerDim.map((b, i) => `${i + 1},${b}`);
  const files: [string, string | Uint8Array][] = [
    ['samples.png', imageGrid(samples, { ...grid, columns: 8 })],
    ['reconstructions.png', imageGrid(pairs, { ...grid, columns: shownReconstructions })],
    ['loss.svg', lossChart(state.bitsPerDim, bits)],
    ['losses.csv', `step,bitsPerDim\n${losses.join('\n')}\n`],
    ['metrics.json', `${JSON.stringify(metrics, null, 2)}\n`],
  ];
  for (const [file, content] of files) await writeWhole(join(out, file), content);
  return metrics;
}

/** Epochs replace minutes. */
function budgetInForce({ epochs, minutes, learningRate }: Run['budget']): Partial<Run['budget']> {
  return epochs === undefined ? { minutes, learningRate } : { epochs, learningRate };
}

/** Writes beside the file and renames over it, so a reader finds the old one or the new one. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
