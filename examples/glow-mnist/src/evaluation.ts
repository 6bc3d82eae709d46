/** What the trained model is worth on images that it has not seen. */
import { type Mnist, takeRows } from '@invnet/datasets';
import { bitsPerDim, dequantize, type Flow } from '@invnet/flows';
import { type NumericArray, RandomStream, type Tensor, tidy } from '@invnet/tensor';
import { CheckpointError, type Communicator } from '@invnet/train';
import { randomStream } from 'example-kit';
import { dims, side } from './app.ts';

const batchSize = 100;

/** Images and what inverting their latents gives back. */
export interface InverseCheck {
  readonly images: NumericArray;
  readonly reconstructions: NumericArray;
  /** max|x̂ − x| / max|x| */
  readonly error: number;
}

/**
 * Mean bits per dimension over the first `count` images, uniformly dequantized with noise that
 * follows from the seed alone. Of several ranks each evaluates some.
 *
 * @throws the signal's reason when it comes.
 */
export async function testBitsPerDim(
  flow: Flow,
  data: Mnist,
  options: {
    count: number;
    seed: number;
    signal: AbortSignal;
    communicator?: Communicator | undefined;
  },
): Promise<number> {
  const { rank, size } = options.communicator ?? { rank: 0, size: 1 };
  const { block } = randomStream(options.seed, 'test').state;
  let nats = 0;
  for (let first = rank * batchSize; first < options.count; first += size * batchSize) {
    // A block of the stream is four numbers, one for each pixel.
    const noise = new RandomStream(options.seed, block + (first * dims) / 4);
    using x = batchOf(data, first, Math.min(batchSize, options.count - first), noise);
    using logProb = flow.logProb(x);
    for (const value of await logProb.data()) nats -= value;
    // Reading is instant on a CPU: without a pause no signal would ever arrive.
    await new Promise(setImmediate);
    options.signal.throwIfAborted();
  }
  const total = Float64Array.of(nats);
  options.communicator?.sum(total);
  return bitsPerDim(total[0]! / options.count, dims);
}

/**
 * Parameters that an update ruined may be finite and yet give images no finite density: nothing to save.
 *
 * @throws CheckpointError
 */
export async function requireFiniteDensity(
  flow: Flow,
  data: Mnist,
  options: { count: number; seed: number; step: number },
): Promise<void> {
  using x = batchOf(data, 0, options.count, randomStream(options.seed, 'test'));
  using logProb = flow.logProb(x);
  const worst = (await logProb.data()).find((value) => !Number.isFinite(value));
  if (worst === undefined) return;
  throw new CheckpointError(
    `After step ${options.step} the log-density of an image is ${worst}; expected a finite number. The ` +
      'update ruined the parameters, so they are not saved: try a lower --learning-rate.',
  );
}

/** Maps the first `count` test images to latents and back. */
export async function checkInverse(
  flow: Flow,
  data: Mnist,
  options: { count: number; seed: number },
): Promise<InverseCheck> {
  using x = batchOf(data, 0, options.count, randomStream(options.seed, 'test'));
  using back = tidy(() => flow.network.inverse(flow.network.forward(x).y).x);
  const images = await x.data();
  const reconstructions = await back.data();
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < images.length; i++) {
    // Math.max keeps a NaN, so a broken inverse cannot pass for an exact one.
    difference = Math.max(difference, Math.abs(reconstructions[i]! - images[i]!));
    largest = Math.max(largest, Math.abs(images[i]!));
  }
  return { images, reconstructions, error: difference / largest };
}

/** Samples of the model as numbers, row-major; the same for the same seed. */
export async function drawSamples(
  flow: Flow,
  options: { count: number; temperature: number; seed: number },
): Promise<NumericArray> {
  using x = flow.sample({
    shape: [options.count, 1, side, side],
    seed: randomStream(options.seed, 'samples'),
    temperature: options.temperature,
  });
  return x.data();
}

function batchOf(data: Mnist, first: number, count: number, noise: RandomStream): Tensor {
  const indices = Uint32Array.from({ length: count }, (_, i) => first + i);
  return dequantize(takeRows(data.images, indices, dims), [count, 1, side, side], noise);
}
