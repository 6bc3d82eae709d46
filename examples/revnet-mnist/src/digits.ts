/** Images of digits as the network sees them: in training each is moved by up to two pixels. */
import { indexBatches, type Mnist } from '@invnet/datasets';
import { type Tensor, tensor } from '@invnet/tensor';
import { randomStream } from 'example-kit';

/** Height and width of an image. */
export const side = 28;
/** Numbers of an image. */
const pixels = side * side;
/** Grey values have a mean of 33 and a deviation of 79. */
const [mean, deviation] = [33, 79];
/** An image is moved by so many pixels at most, along both axes. */
const reach = 2;

/** Images [N, 1, 28, 28] and the digits that they show. */
export interface Batch {
  readonly x: Tensor;
  readonly labels: Uint8Array;
}

/** Batches without end from step `step` on; an epoch's last images that fill no batch are left out. */
export function* batches(
  data: Mnist,
  { batch, seed, step }: { readonly batch: number; readonly seed: number; readonly step: number },
): Generator<Batch, void, undefined> {
  const perEpoch = stepsPerEpoch(data, batch);
  const start = { epoch: Math.floor(step / perEpoch), position: batch * (step % perEpoch) };
  let at = step;
  for (const { indices } of indexBatches({ count: data.count, batchSize: batch, seed, start })) {
    const moves = randomStream(seed, 'training', at++)
      .uniformArray(2 * batch, -reach - 0.5, reach + 0.5)
      .map(Math.round);
    yield batchOf(data, indices, (i) => [moves[2 * i]!, moves[2 * i + 1]!]);
  }
}

export function stepsPerEpoch(data: Mnist, batch: number): number {
  return Math.floor(data.count / batch);
}

/** The images of these indices, each moved down and to the right, about a mean of 0 and a deviation of 1. */
export function batchOf(
  data: Mnist,
  indices: ArrayLike<number>,
  moved: (i: number) => readonly [down: number, right: number] = () => [0, 0],
): Batch {
  const values = new Float32Array(indices.length * pixels).fill(-mean / deviation);
  for (let i = 0; i < indices.length; i++) {
    const [down, right] = moved(i);
    for (let row = Math.max(0, down); row < side + Math.min(0, down); row++) {
      for (let column = Math.max(0, right); column < side + Math.min(0, right); column++) {
        const from = indices[i]! * pixels + (row - down) * side + column - right;
        values[i * pixels + row * side + column] = (data.images[from]! - mean) / deviation;
      }
    }
  }
  const labels = Uint8Array.from(indices, (i) => data.labels[i]!);
  return { x: tensor(values, [indices.length, 1, side, side]), labels };
}
