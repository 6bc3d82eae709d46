/** The batches of a fit, epoch after epoch, as tensors: standardized, and of ranks each one's part. */
import type { HostArray, RowSource, Rows } from '@invnet/datasets';
import { RandomStream, type Tensor, tensor } from '@invnet/tensor';
import type { FitBatch } from './options.ts';
import type { HostStandardization } from './standardized-flow.ts';
import { sumOfWeights } from './survey.ts';

/** How rows become tensors. */
export interface Preparation {
  readonly x: HostStandardization | undefined;
  readonly context: HostStandardization | undefined;
  /** The mean of all weights, by which they are divided. */
  readonly weight: number;
  readonly seed: number;
}

/** A batch on the backend. */
export interface PreparedBatch extends FitBatch {
  readonly rows: number;
  /** What they count together. */
  readonly weight: number;
  /** Is it the last one of its epoch? */
  readonly endsEpoch: boolean;
}

/** Where in a fit a batch is. */
export interface FitPlace {
  /** Epochs that are complete. */
  readonly epoch: number;
  /** Batches of this epoch that are done. */
  readonly batch: number;
  /** Steps that are done. */
  readonly step: number;
}

/** Batches from a place on, to the end of the last epoch. */
export async function* trainingBatches(
  source: RowSource,
  how: Preparation & { readonly batchSize: number; readonly epochs: number },
  place: FitPlace,
): AsyncGenerator<PreparedBatch, void, undefined> {
  const { batchSize, seed, epochs } = how;
  let { step, batch: from } = place;
  for (let epoch = place.epoch; epoch < epochs; epoch++, from = 0) {
    const batches = source.batches({ batchSize, seed, epoch, from });
    for await (const [rows, last] of withLast(batches)) {
      yield prepare(rows, how, 'training', step++, last);
    }
  }
}

/** All batches of a source in order; what a loss draws is the same each time. */
export async function* validationBatches(
  source: RowSource,
  how: Preparation & { readonly batchSize: number },
): AsyncGenerator<PreparedBatch, void, undefined> {
  const { batchSize, seed } = how;
  let index = 0;
  const batches = source.batches({ batchSize, seed, epoch: 0, shuffle: false });
  for await (const [rows, last] of withLast(batches)) {
    yield prepare(rows, how, 'validation', index++, last);
  }
}

/** Frees a batch's tensors. */
export function disposeBatch({ x, context, weights }: PreparedBatch): void {
  for (const t of [x, context, weights]) t?.dispose();
}

/** Parts of one seed's stream, too far apart to meet each other, the orders of rows, and a network's first weights. */
const firstBlocks = { training: 2 ** 44, validation: 2 ** 45 };
/** Blocks of four numbers between one step's part and the next; and steps. */
const [blocksPerStep, steps] = [2 ** 20, 2 ** 20];

function prepare(
  rows: Rows,
  { x: forX, context: forContext, weight, seed }: Preparation,
  purpose: keyof typeof firstBlocks,
  step: number,
  endsEpoch: boolean,
): PreparedBatch {
  const { x, context, weights } = rows;
  return {
    x: upload(x, forX),
    ...(context && { context: upload(context, forContext) }),
    ...(weights && {
      weights: tensor(
        weights.data.map((w) => w / weight),
        weights.shape,
      ),
    }),
    random: new RandomStream(seed, firstBlocks[purpose] + (step % steps) * blocksPerStep),
    rows: x.shape[0]!,
    weight: sumOfWeights(rows) / weight,
    endsEpoch,
  };
}

function upload(array: HostArray, standardization: HostStandardization | undefined): Tensor {
  return tensor(standardization?.apply(array) ?? array.data, array.shape);
}

/** Each item, with whether it is the last. */
async function* withLast<T>(items: AsyncIterable<T>): AsyncGenerator<[T, boolean]> {
  let held: [T] | undefined;
  for await (const item of items) {
    if (held) yield [held[0], false];
    held = [item];
  }
  if (held) yield [held[0], true];
}
