/** Measures a trained run. */
import { loadMnist } from '@invnet/datasets';
import { type GlowRun, side } from './app.ts';
import { checkInverse, drawSamples, testBitsPerDim } from './evaluation.ts';
import { lossChart } from './loss-chart.ts';
import { imageGrid } from './pictures.ts';

const testImages = 10_000;
const trainingImages = 60_000;
const shownSamples = 64;
const shownReconstructions = 16;
const inverseBatch = 64;
const temperature = 0.9;

/** What `metrics.json` holds beside what all examples have there. */
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
  readonly imagesPerSecond: number;
  readonly epochs: number;
  readonly sampleTemperature: number;
}

/** Evaluates on the test images; gives pictures, a chart of the losses, and the metrics. */
export async function measure(
  { config, model, state }: GlowRun,
  signal: AbortSignal,
): Promise<{ files: Record<string, string | Uint8Array>; metrics: Metrics }> {
  const { seed } = config;
  const data = await loadMnist({ split: 'test' });
  const bits = await testBitsPerDim(model, data, { count: testImages, seed, signal });
  const inverse = await checkInverse(model, data, { count: inverseBatch, seed });
  const samples = await drawSamples(model, { count: shownSamples, temperature, seed });
  const imagesSeen = state.step * config.batch;
  const metrics: Metrics = {
    testBitsPerDim: bits,
    testImages,
    firstBitsPerDim: state.losses[0]!,
    lastBitsPerDim: state.losses.at(-1)!,
    inverseError: inverse.error,
    imagesPerSecond: imagesSeen / state.seconds,
    epochs: imagesSeen / trainingImages,
    sampleTemperature: temperature,
  };
  const grid = { height: side, width: side };
  const shown = shownReconstructions * side * side;
  const pairs = [
    ...inverse.images.subarray(0, shown),
    ...inverse.reconstructions.subarray(0, shown),
  ];
  const files = {
    'samples.png': imageGrid(samples, { ...grid, columns: 8 }),
    'reconstructions.png': imageGrid(pairs, { ...grid, columns: shownReconstructions }),
    'loss.svg': lossChart(state.losses, bits),
  };
  return { files, metrics };
}
