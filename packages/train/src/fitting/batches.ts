/** The batches of a fit, epoch after epoch, as tensors: standardized, noisy where asked, of ranks each one's part. */
import type { HostArray, RowSource, Rows } from '@invnet/datasets';
import { RandomStream, type Tensor, tensor } from '@invnet/tensor';
import type { Communicator } from '../communicator.ts';
import type { FitBatch } from './options.ts';
import type { HostStandardization } from './standardized-flow.ts';
import { sumOfWeights, withoutMissing } from './survey.ts';

/** How rows become tensors. */
export interface Preparation {
  readonly x: HostStandardization | undefined;
  readonly context: HostStandardization | undefined;
  /** The mean of all weights, by which they are divided. */
  readonly meanWeight: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly missing: 'refuse' | 'drop';
  readonly communicator: Communicator | undefined;
  /** The deviation of noise on x in a step. */
  readonly noise: (step: number) => number;
}

/** A batch on the backend. */
export interface PreparedBatch extends FitBatch {
  /** The rows of all ranks. */
  readonly rows: number;
  /** What they count together. */
  readonly weight: number;
  /** Its number in its epoch. */
  readonly index: number;
  /** Is it the last one of its epoch? */
  readonly endsEpoch: boolean;
}

/** What of a batch a loss of one's own is given. */
export function batchOfLoss({ x, context, weights, random }: PreparedBatch): FitBatch {
  return { x, ...(context && { context }), ...(weights && { weights }), random };
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
  how: Preparation,
  epochs: number,
  place: FitPlace,
): AsyncGenerator<PreparedBatch, void, undefined> {
  const { batchSize, seed, noise } = how;
  let { step, batch: from } = place;
  for (let epoch = place.epoch; epoch < epochs; epoch++, from = 0) {
    const batches = source.batches({ batchSize, seed, epoch, from });
    for await (const { rows, index, last } of numbered(batches, from, how)) {
      const random = streamOf('training', how, step);
      const noisy = withNoise(rows, how, noise(step), streamOf('noise', how, step, true));
      yield upload(noisy, how, { random, index, endsEpoch: last });
      step += 1;
    }
  }
}

/** All batches of a source in order, of which ranks take turns; what a loss draws is the same each time. */
export async function* validationBatches(
  source: RowSource,
  how: Preparation,
): AsyncGenerator<PreparedBatch, void, undefined> {
  const { batchSize, seed, communicator } = how;
  const batches = source.batches({ batchSize, seed, epoch: 0, shuffle: false });
  // Each batch is one rank's alone.
  const whole = { ...how, communicator: undefined };
  for await (const { rows, index, last } of numbered(batches, 0, whole)) {
    if (communicator && index % communicator.size !== communicator.rank) continue;
    const random = streamOf('validation', whole, index);
    yield upload(standardized(rows, how), whole, { random, index, endsEpoch: last });
  }
}

/** Frees a batch's tensors. */
export function disposeBatch({ x, context, weights }: PreparedBatch): void {
  for (const t of [x, context, weights]) t?.dispose();
}

/** Rows with their place in the epoch. */
interface Numbered {
  readonly rows: Rows;
  readonly index: number;
  readonly last: boolean;
}

/** The batches that have rows enough, without those that are to be left out. */
async function* numbered(
  batches: AsyncIterable<Rows>,
  from: number,
  { missing, communicator }: Preparation,
): AsyncGenerator<Numbered> {
  let held: Omit<Numbered, 'last'> | undefined;
  let index = from - 1;
  for await (const batch of batches) {
    index += 1;
    const rows = missing === 'drop' ? withoutMissing(batch).kept : batch;
    // All ranks leave out what has not a row for each of them.
    if (!rows || rows.x.shape[0]! < (communicator?.size ?? 1)) continue;
    if (held) yield { ...held, last: false };
    held = { rows, index };
  }
  if (held) yield { ...held, last: true };
}

/** Parts of one seed's stream, too far apart to meet each other, the orders of rows, and a network's first weights. */
const firstBlocks = { training: 2 ** 44, validation: 2 ** 45, noise: 2 ** 46 };
/** Blocks of four numbers between one step's part and the next; and steps. */
const [blocksPerStep, steps] = [2 ** 20, 2 ** 20];

/** @param shared - Is it the same on all ranks? */
function streamOf(
  purpose: keyof typeof firstBlocks,
  { seed, communicator }: Preparation,
  step: number,
  shared = false,
): RandomStream {
  const place = communicator && !shared ? step * communicator.size + communicator.rank : step;
  return new RandomStream(seed, firstBlocks[purpose] + (place % steps) * blocksPerStep);
}

function standardized(rows: Rows, { x, context }: Preparation): Rows {
  return {
    ...rows,
    x: x?.apply(rows.x) ?? rows.x,
    ...(rows.context && { context: context?.apply(rows.context) ?? rows.context }),
  };
}

function withNoise(rows: Rows, how: Preparation, deviation: number, random: RandomStream): Rows {
  const clean = standardized(rows, how);
  if (deviation === 0) return clean;
  const { shape, data } = clean.x;
  const noise = random.normalArray(data.length, deviation);
  return { ...clean, x: { shape, data: noise.map((value, i) => value + data[i]!) } };
}

/** This rank's part, as tensors. */
function upload(
  rows: Rows,
  { meanWeight, communicator }: Preparation,
  known: Pick<PreparedBatch, 'random' | 'index' | 'endsEpoch'>,
): PreparedBatch {
  const { rank, size } = communicator ?? { rank: 0, size: 1 };
  const each = Math.floor(rows.x.shape[0]! / size);
  const part = ({ shape, data }: HostArray, divisor: number): Tensor => {
    const length = data.length / shape[0]!;
    const own = data.subarray(rank * each * length, (rank + 1) * each * length);
    const values = divisor === 1 ? own : own.map((value) => value / divisor);
    return tensor(values, [each, ...shape.slice(1)]);
  };
  const { x, context, weights } = rows;
  const used = each * size;
  return {
    x: part(x, 1),
    ...(context && { context: part(context, 1) }),
    ...(weights && { weights: part(weights, meanWeight) }),
    ...known,
    rows: used,
    weight: sumOfWeights(rows, used) / meanWeight,
  };
}
