/** What a trained network is worth on images that it has not seen, and what depth costs. */
import type { Mnist } from '@invnet/datasets';
import { softmaxCrossEntropy } from '@invnet/metrics';
import { RevNet } from '@invnet/networks';
import { memory, resetPeakMemory, type Tensor } from '@invnet/tensor';
import { type Batch, batchOf } from './digits.ts';

const batchSize = 100;

/** The digit that each of the first `count` images is taken for. @throws the signal's reason when it comes. */
export async function predict(
  network: RevNet,
  data: Mnist,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const { training } = network;
  // By the running statistics: what a digit is taken for depends on no other image.
  network.training = false;
  try {
    const predicted = new Uint8Array(count);
    for (let first = 0; first < count; first += batchSize) {
      const size = Math.min(batchSize, count - first);
      const { x } = batchOf(
        data,
        Array.from({ length: size }, (_, i) => first + i),
      );
      const { y, saved } = network.forward(x);
      saved.dispose();
      const logits = await y.data();
      for (const t of [x, y]) t.dispose();
      for (let i = 0; i < size; i++) {
        const own = logits.subarray(i * network.classes, (i + 1) * network.classes);
        predicted[first + i] = own.indexOf(Math.max(...own));
      }
      // Without a pause no signal would ever arrive.
      await new Promise(setImmediate);
      signal.throwIfAborted();
    }
    return predicted;
  } finally {
    network.training = training;
  }
}

/** The mean cross-entropy of a batch; gradients are added to those of the parameters. */
export function lossOf(network: RevNet, { x, labels }: Batch): Tensor {
  const { y, saved } = network.forward(x);
  try {
    const { loss, gradient } = softmaxCrossEntropy(y, labels);
    network.backward(gradient, saved).dx.dispose();
    gradient.dispose();
    return loss;
  } finally {
    saved.dispose();
    y.dispose();
  }
}

/** What one step takes at most beside parameters and their gradients. */
export interface StepMemory {
  readonly blocks: number;
  readonly peakBytes: number;
}

/** Of a network like this one with so many blocks at each resolution. */
export function stepMemory(network: RevNet, batch: Batch, blocks: number): StepMemory {
  const { blocks: own, ...options } = network.options;
  const other = new RevNet({ ...options, blocks: own.map(() => blocks) });
  try {
    // The first step makes the gradients.
    lossOf(other, batch).dispose();
    const before = memory().liveBytes;
    resetPeakMemory();
    lossOf(other, batch).dispose();
    return { blocks, peakBytes: memory().peakBytes - before };
  } finally {
    other.dispose();
  }
}
