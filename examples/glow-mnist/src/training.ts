/** What Glow is trained on, and by which loss. */
import { indexBatches, type Mnist, takeRows } from '@invnet/datasets';
import { dequantize, negativeLogLikelihood } from '@invnet/flows';
import { RandomStream, type Tensor } from '@invnet/tensor';
import { randomStream, type TrainingOptions } from 'example-kit';
import { dims, type GlowConfig, type GlowRun, side } from './app.ts';
import { requireFiniteDensity } from './evaluation.ts';

/** How a run is trained on images. */
export function trainingOn(
  data: Mnist,
  { config, model, state }: GlowRun,
  signal: AbortSignal,
): TrainingOptions<Tensor> {
  const { batch: count, seed } = config;
  return {
    batches: (step) => batchesFrom(step, data, config),
    loss: (x) => negativeLogLikelihood(model, x),
    disposeBatch: (x) => x.dispose(),
    signal,
    stepsPerEpoch: stepsPerEpoch(data, config),
    samples: { perStep: count, called: 'images' },
    clipNorm: 100,
    check: () => requireFiniteDensity(model, data, { count, seed, step: state.step }),
  };
}

/** Batches of images with the noise that dequantizes them, which both follow from the step. */
function* batchesFrom(
  step: number,
  data: Mnist,
  config: GlowConfig,
): Generator<Tensor, void, undefined> {
  const { batch, seed } = config;
  const perEpoch = stepsPerEpoch(data, config);
  const start = { epoch: Math.floor(step / perEpoch), position: batch * (step % perEpoch) };
  const { block } = randomStream(seed, 'training').state;
  // A block of the stream is four numbers, one for each pixel.
  const noise = new RandomStream(seed, block + (step * batch * dims) / 4);
  for (const { indices } of indexBatches({ count: data.count, batchSize: batch, seed, start })) {
    yield dequantize(takeRows(data.images, indices, dims), [batch, 1, side, side], noise);
  }
}

function stepsPerEpoch(data: Mnist, { batch }: GlowConfig): number {
  return Math.floor(data.count / batch);
}
