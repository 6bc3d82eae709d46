/** Measures a trained run. */
import { loadMnist } from '@invnet/datasets';
import { curves, panels } from '@invnet/figures';
import type { NumericArray } from '@invnet/tensor';
import { type GlowRun, side } from './app.ts';
import { checkInverse, drawSamples, testBitsPerDim } from './evaluation.ts';

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
  { config, model, state, communicator }: GlowRun,
  signal: AbortSignal,
): Promise<{ files: Record<string, string | Uint8Array>; metrics: Metrics }> {
  const { seed } = config;
  const data = await loadMnist({ split: 'test' });
  const bits = await testBitsPerDim(model, data, { count: testImages, seed, signal, communicator });
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
  const pairs = [
    ...firstImages(inverse.images, shownReconstructions),
    ...firstImages(inverse.reconstructions, shownReconstructions),
  ];
  const layout = { size: 2 * side, gap: 2, bar: false, scale: { range: [0, 1] } } as const;
  const shown = firstImages(samples, shownSamples);
  const files = {
    'samples.png': panels(shown, { ...layout, columns: 8 }).png(),
    'reconstructions.png': panels(pairs, { ...layout, columns: shownReconstructions }).png(),
    'loss.svg': curves({
      title: 'Glow on MNIST: training loss',
      series: [{ y: state.losses, smooth: 30 }],
      references: [{ y: bits, label: `test ${bits.toFixed(3)}` }],
      // The few steps far above the rest, at the start, are cut off.
      clip: 0.98,
      x: { label: 'training step' },
      y: { label: 'bits per dimension' },
      width: 800,
      height: 420,
    }).svg,
  };
  return { files, metrics };
}

function firstImages(images: NumericArray, count: number) {
  const area = side * side;
  return Array.from({ length: count }, (_, i) => ({
    height: side,
    width: side,
    values: images.subarray(i * area, (i + 1) * area),
  }));
}
