/**
 * One look at all rows before training: mean and deviation of each channel, and what is wrong with columns. Rows are
 * seen a batch at a time, so that a source may be larger than memory.
 */
import { type HostArray, type RowSource, type Rows, requireHostArray } from '@invnet/datasets';
import type { Moments } from '@invnet/layers';
import {
  currentPlacement,
  formatShape,
  nextAbove,
  roundTo,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import type { FitWarning } from './options.ts';

/** Below it a deviation is 0 in float32. */
const leastDeviation = 1e-37;

/** What is known of an array of rows. */
export interface ArraySurvey extends Moments {
  /** What a channel is called: a column, where rows are vectors. */
  readonly called: 'column' | 'channel';
  /** Channels that have one value in all rows. */
  readonly constant: readonly number[];
  /** Of each channel, the number that is farthest from 0, without its sign. */
  readonly largest: readonly number[];
  /** Pairs of columns that are equal in all rows, where rows are vectors. */
  readonly equal: readonly (readonly [number, number])[];
}

/** What is known of rows. */
export interface Survey {
  readonly rows: number;
  readonly x: ArraySurvey;
  readonly context?: ArraySurvey;
  /** The mean of the weights; 1 without any. */
  readonly weight: number;
  /** Rows that were left out, for their numbers are not all finite. */
  readonly dropped: number;
}

/**
 * Goes over a source once.
 *
 * @throws ValueError for numbers that are not finite, with row and column, and where there are fewer than two rows.
 */
export async function surveyRows(
  source: RowSource,
  { missing }: { readonly missing: 'refuse' | 'drop' },
): Promise<Survey> {
  let [rows, weight, dropped] = [0, 0, 0];
  let x: ColumnSums | undefined;
  let context: ColumnSums | undefined;
  const options = { batchSize: 1024, seed: 0, epoch: 0, shuffle: false };
  for await (const all of source.batches(options)) {
    const complete = missing === 'drop' ? withoutMissing(all) : { kept: all, dropped: 0 };
    dropped += complete.dropped;
    const batch = complete.kept;
    if (!batch) continue;
    x ??= new ColumnSums('x', batch.x);
    x.add(batch.x, rows);
    if (batch.context) {
      context ??= new ColumnSums('context', batch.context);
      context.add(batch.context, rows);
    }
    rows += batch.x.shape[0]!;
    weight += sumOfWeights(batch);
  }
  if (!x || rows < 2) {
    throw new ValueError(
      `fit: there ${rows === 1 ? 'is 1 row' : `are ${rows} rows`} to train on; expected at least 2: a single one has ` +
        'no deviation.',
    );
  }
  if (weight === 0) throw new ValueError('fit: all weights are 0; expected some above.');
  return {
    rows,
    x: x.survey(),
    ...(context && { context: context.survey() }),
    weight: weight / rows,
    dropped,
  };
}

/**
 * What a survey has to say.
 *
 * @throws ValueError for a constant column of x, which has no density, and for numbers that the element type does not hold.
 */
export function warningsOf({ rows, x, context, dropped }: Survey): FitWarning[] {
  requireUnits('x', x);
  if (context) requireUnits('context', context);
  const [constant] = x.constant;
  if (constant !== undefined) {
    throw new ValueError(
      `fit: ${x.called} ${constant} of x is ${x.mean[constant]} in all ${rows} rows; expected ${x.called}s that vary, for a ` +
        `constant has no density. Leave the ${x.called} out, or give it as a context.`,
    );
  }
  const warnings: FitWarning[] = [];
  if (dropped > 0) {
    warnings.push({
      kind: 'dropped-rows',
      message: `${dropped} of ${rows + dropped} rows to train on were left out: they have NaN or infinite numbers.`,
    });
  }
  for (const c of context?.constant ?? []) {
    warnings.push({
      kind: 'constant-column',
      message: `${context!.called} ${c} of the context is ${context!.mean[c]} in all ${rows} rows: it says nothing.`,
    });
  }
  for (const [name, survey] of Object.entries({ x, context })) {
    for (const c of survey ? coarse(survey) : []) {
      warnings.push({
        kind: 'coarse-column',
        message:
          `${survey!.called} ${c} of ${name} is ${survey!.mean[c]} on average and varies by ${survey!.deviation[c]}, of which ` +
          'float32 has but a few digits: densities and samples are rounded. Subtract a number in the middle from it.',
      });
    }
    for (const [a, b] of survey?.equal ?? []) {
      const consequence =
        name === 'x'
          ? 'their density has no upper bound, so losses fall without end; leave one out'
          : 'one of them is enough';
      warnings.push({
        kind: 'duplicated-columns',
        message: `columns ${a} and ${b} of ${name} are equal in all ${rows} rows: ${consequence}.`,
      });
    }
  }
  const columns = x.mean.length;
  if (x.called === 'column' && columns > rows) {
    warnings.push({
      kind: 'few-rows',
      message: `x has ${columns} columns and ${rows} rows: a density in more dimensions than there are rows is mostly made up.`,
    });
  }
  return warnings;
}

/** @throws ValueError for numbers that are infinite in float32, or differ by what is 0 there. */
function requireUnits(name: string, { called, deviation, largest, constant }: ArraySurvey): void {
  if (currentPlacement().dtype !== 'float32') return;
  for (const [c, most] of largest.entries()) {
    if (!Number.isFinite(Math.fround(most))) {
      throw new ValueError(
        `fit: ${called} ${c} of ${name} has numbers as large as ${most}, which float32 does not hold; expected other units, or ` +
          'their logarithms.',
      );
    }
    if (!constant.includes(c) || deviation[c] === 0) continue;
    throw new ValueError(
      `fit: ${called} ${c} of ${name} varies by ${deviation[c]}, which is nothing in float32; expected other units.`,
    );
  }
}

/** Steps of numbers at least within a deviation. */
const leastSteps = 100;

/** Channels whose numbers are so large, and so much alike, that rounding to the element type leaves little of how they differ. */
function coarse({ mean, deviation, constant }: ArraySurvey): number[] {
  const { dtype } = currentPlacement();
  return [...mean.keys()].filter((c) => {
    const size = Math.abs(mean[c]!);
    const step = nextAbove(dtype, roundTo(dtype, size)) - roundTo(dtype, size);
    return !constant.includes(c) && deviation[c]! < leastSteps * step;
  });
}

/** Sums over the rows seen so far, per channel. */
class ColumnSums {
  readonly #name: string;
  readonly #shape: readonly number[];
  readonly #channels: number;
  readonly #mean: Float64Array;
  readonly #squares: Float64Array;
  readonly #first: Float64Array;
  readonly #varies: Uint8Array;
  readonly #largest: Float64Array;
  /** Of vectors, a number for each column that follows from all that it held. */
  readonly #digests: Uint32Array;
  #count = 0;

  constructor(name: string, { shape }: HostArray) {
    if (shape.length < 2) {
      throw new ShapeError(
        `fit: ${name} is ${formatShape(shape)}; expected [N, D], or [N, C, …] for images.`,
      );
    }
    this.#name = name;
    this.#shape = shape.slice(1);
    this.#channels = shape[1]!;
    const each = () => new Float64Array(this.#channels);
    [this.#mean, this.#squares, this.#first] = [each(), each(), each()];
    this.#varies = new Uint8Array(this.#channels);
    this.#largest = each();
    this.#digests = new Uint32Array(2 * this.#channels);
  }

  /** @param row - The number of the first row, for messages. */
  add({ shape, data }: HostArray, row: number): void {
    if (formatShape(shape.slice(1)) !== formatShape(this.#shape)) {
      throw new ShapeError(
        `fit: row ${row} of ${this.#name} has shape ${formatShape(shape.slice(1))}; expected ` +
          `${formatShape(this.#shape)}, as of those before.`,
      );
    }
    const [rows, channels] = [shape[0]!, this.#channels];
    const size = data.length / rows;
    const positions = size / channels;
    for (let c = 0; c < channels; c++) {
      if (this.#count === 0) this.#first[c] = data[c * positions]!;
      const first = this.#first[c]!;
      let largest = this.#largest[c]!;
      // Relative to the first number, so that no digits are lost to a large mean.
      let sum = 0;
      for (let n = 0; n < rows; n++) {
        for (let i = n * size + c * positions, end = i + positions; i < end; i++) {
          const value = data[i]!;
          if (!Number.isFinite(value)) throw notFinite(this.#name, value, row + n, i - n * size);
          if (value !== first) this.#varies[c] = 1;
          if (value > largest || -value > largest) largest = Math.abs(value);
          sum += value - first;
        }
      }
      this.#largest[c] = largest;
      const count = rows * positions;
      const mean = first + sum / count;
      let squares = 0;
      for (let n = 0; n < rows; n++) {
        for (let i = n * size + c * positions, end = i + positions; i < end; i++) {
          squares += (data[i]! - mean) ** 2;
        }
      }
      this.#merge(c, count, mean, squares);
    }
    if (this.#shape.length === 1) this.#digest(data);
    this.#count += rows * positions;
  }

  survey(): ArraySurvey {
    const channels = Array.from({ length: this.#channels }, (_, c) => c);
    const deviation = channels.map((c) => Math.sqrt(this.#squares[c]! / this.#count));
    return {
      mean: [...this.#mean],
      deviation,
      largest: [...this.#largest],
      called: this.#shape.length === 1 ? 'column' : 'channel',
      constant: channels.filter((c) => !this.#varies[c] || deviation[c]! < leastDeviation),
      equal: this.#equalColumns(),
    };
  }

  /** Chan, Golub and LeVeque (1979): a mean and a sum of squares of more numbers joins those of all before. */
  #merge(c: number, count: number, mean: number, squares: number): void {
    const total = this.#count + count;
    const delta = mean - this.#mean[c]!;
    this.#mean[c]! += (delta * count) / total;
    this.#squares[c]! += squares + (delta ** 2 * this.#count * count) / total;
  }

  #digest(data: HostArray['data']): void {
    const number = new Float64Array(1);
    const words = new Uint32Array(number.buffer);
    const digests = this.#digests;
    for (let i = 0, c = 0; i < data.length; i++, c = c + 1 === this.#channels ? 0 : c + 1) {
      number[0] = data[i]!;
      digests[2 * c] = Math.imul(digests[2 * c]! ^ words[0]!, 0x01000193) ^ words[1]!;
      digests[2 * c + 1] =
        Math.imul(digests[2 * c + 1]! ^ words[1]!, 0x85ebca6b) ^ (words[0]! >>> 3);
    }
  }

  #equalColumns(): [number, number][] {
    if (this.#shape.length !== 1) return [];
    const seen = new Map<string, number>();
    const equal: [number, number][] = [];
    for (let c = 0; c < this.#channels; c++) {
      // Constant columns are told as such.
      if (!this.#varies[c]) continue;
      const digest = `${this.#digests[2 * c]} ${this.#digests[2 * c + 1]}`;
      const before = seen.get(digest);
      if (before === undefined) seen.set(digest, c);
      else equal.push([before, c]);
    }
    return equal;
  }
}

/** What the first rows count together. */
export function sumOfWeights({ x, weights }: Rows, count = x.shape[0]!): number {
  if (!weights) return count;
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights.data[i]!;
  return sum;
}

/** @throws ValueError for numbers of rows that are not finite, with row and column of the first. */
export function requireComplete(rows: Rows): void {
  for (const name of ['x', 'context', 'weights'] as const) {
    const array = rows[name];
    if (array === undefined) continue;
    const { shape, data } = requireHostArray('fit', name, array);
    const at = data.findIndex((value) => !Number.isFinite(value));
    const size = data.length / shape[0]!;
    if (at >= 0) throw notFinite(name, data[at]!, Math.floor(at / size), at % size);
  }
}

function notFinite(name: string, value: number, row: number, column: number): ValueError {
  return new ValueError(
    `fit: ${name} is ${value} in row ${row}, column ${column} (both from 0); expected finite numbers. ` +
      "Mend the data, or pass missing: 'drop' to leave such rows out.",
  );
}

/** The rows all of whose numbers are finite, and how many were not. */
export function withoutMissing(rows: Rows): { readonly kept: Rows | undefined; dropped: number } {
  const arrays = (['x', 'context', 'weights'] as const).flatMap((name) => {
    const array = rows[name];
    return array === undefined ? [] : [requireHostArray('fit', name, array)];
  });
  const count = rows.x.shape[0]!;
  // Who takes the rows says so.
  if (arrays.some(({ shape }) => shape[0] !== count)) return { kept: rows, dropped: 0 };
  const complete: number[] = [];
  for (let n = 0; n < count; n++)
    if (arrays.every((array) => isComplete(array, n))) complete.push(n);
  const dropped = count - complete.length;
  if (dropped === 0) return { kept: rows, dropped };
  if (complete.length === 0) return { kept: undefined, dropped };
  const kept = {
    x: taken(rows.x, complete),
    ...(rows.context && { context: taken(rows.context, complete) }),
    ...(rows.weights && { weights: taken(rows.weights, complete) }),
  };
  return { kept, dropped };
}

function isComplete({ shape, data }: HostArray, row: number): boolean {
  const size = data.length / shape[0]!;
  for (let i = row * size; i < (row + 1) * size; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}

function taken({ shape, data }: HostArray, rows: readonly number[]): HostArray {
  const size = data.length / shape[0]!;
  const result = data.slice(0, rows.length * size);
  rows.forEach((row, n) => {
    result.set(data.subarray(row * size, (row + 1) * size), n * size);
  });
  return { shape: [rows.length, ...shape.slice(1)], data: result };
}
