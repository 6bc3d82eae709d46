/** What Glow is trained on, and by which loss. */
import { indexBatches, type Mnist, takeRows } from '@invnet/datasets';
import { dequantize, negativeLogLikelihood } from '@invnet/flows';
import { RandomStream, type Tensor } from '@invnet/tensor';
import { requireSame, type Share, shareOf } from '@invnet/train';
import { randomStream, type TrainingOptions } from 'example-kit';
import { dims, type GlowConfig, type GlowRun, side } from './app.ts';
import { requireFiniteDensity } from './evaluation.ts';

/** How a run is trained on images. */
export function trainingOn(
  data: Mnist,
  { config, model, state, communicator }: GlowRun,
  signal: AbortSignal,
): TrainingOptions<Tensor> {
  const { batch: count, seed } = config;
  if (communicator) requireSame(communicator, 'The data', { images: data.count });
  const share = communicator ? shareOf(communicator, count) : { first: 0, count };
  return {
    batches: (step) => batchesFrom(step, data, config, share),
    loss: (x) => negativeLogLikelihood(model, x),
    disposeBatch: (x) => x.dispose(),
    signal,
    stepsPerEpoch: stepsPerEpoch(data, config),
    samples: { perStep: count, called: 'images' },
    clipNorm: 100,
    check: () => requireFiniteDensity(model, data, { count, seed, step: state.step }),
  };
}

/** This rank's part of batches of images, with the noise that dequantizes them, which both follow from the step. */
function* batchesFrom(
  step: number,
  data: Mnist,
  config: GlowConfig,
  { first, count }: Share,
): Generator<Tensor, void, undefined> {
  const { batch, seed } = config;
  const perEpoch = stepsPerEpoch(data, config);
  const start = { epoch: Math.floor(step / perEpoch), position: batch * (step % perEpoch) };
  const { block } = randomStream(seed, 'training').state;
  // A block of the stream is four numbers, one for each pixel.
  const blocksPerImage = dims / 4;
  let image = step * batch + first;
  for (const { indices } of indexBatches({ count: data.count, batchSize: batch, seed, start })) {
    const own = takeRows(data.images, indices.subarray(first, first + count), dims);
    const noise = new RandomStream(seed, block + image * blocksPerImage);
    yield dequantize(own, [count, 1, side, side], noise);
    image += batch;
  }
}

function stepsPerEpoch(data: Mnist, { batch }: GlowConfig): number {
  return Math.floor(data.count / batch);
}
