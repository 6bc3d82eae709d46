/**
 * The classifier two-sample test, as the benchmark of simulation-based inference has it (Lueckmann et al., 2021; `c2st`
 * of sbibm 1.1.0), so that numbers compare. Mathematics: docs/math/metrics/two-samples.md
 */
import { type Points, posteriorMoments, requirePoints } from '@invnet/metrics';
import {
  RandomStream,
  requireBoolean,
  requireFunction,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { type LabelledRows, Perceptron } from './perceptron.ts';

/** Options of `c2st`. */
export interface C2stOptions {
  /** Of folds, weights and batches. Default: 1. */
  readonly seed?: number;
  /** Of the cross-validation. Default: 5. */
  readonly folds?: number;
  /** Ends it after the epoch that is under way, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each fold with how many are done. */
  readonly progress?: (done: number) => void;
}

/** What `c2st` gives. */
export interface C2st {
  /** Mean over folds: ½ for samples that no classifier tells apart, 1 for those that do not overlap. */
  readonly accuracy: number;
  readonly folds: readonly number[];
}

/**
 * Trains a classifier to tell two samples apart, and gives its accuracy on samples that it has not seen (Friedman, "On
 * multivariate goodness-of-fit and two-sample testing", 2003; Lopez-Paz and Oquab, "Revisiting classifier two-sample
 * tests", 2017). Both are standardized by the first one; the classifier is a perceptron of two hidden layers of 10D
 * units, trained until its loss no longer falls, for each of five folds. It runs on the current backend, for
 * 10⁴ and 10⁴ samples of ten numbers a minute or two on one thread of `wasm`: equal samples take longest.
 *
 * @param reference - [N, …], finite. @param samples - [N, …]: as many, of as many numbers.
 * @throws ValueError for a column of the reference that is constant, numbers that are not finite, and fewer samples
 * than folds. @throws ShapeError unless both have one shape.
 * @example const { accuracy } = await c2st(reference, samples); // 0.5 where they are from one distribution
 */
export async function c2st(
  reference: Points,
  samples: Points,
  options: C2stOptions = {},
): Promise<C2st> {
  requireOptions('c2st', options, ['seed', 'folds', 'signal', 'progress']);
  const { seed = 1, folds = 5, signal, progress } = options;
  requireWhole('c2st', 'seed', seed, 0);
  if (signal !== undefined) requireBoolean('c2st', "the signal's aborted", signal?.aborted);
  if (progress !== undefined) requireFunction('c2st', 'progress', progress);
  const rows = labelled(reference, samples);
  const count = rows.labels.length;
  requireWhole('c2st', 'folds', folds, 2, Math.floor(count / 2));
  const order = new RandomStream(seed).permutation(count);
  const accuracies: number[] = [];
  for (let fold = 0; fold < folds; fold++) {
    const [from, to] = [fold, fold + 1].map((f) => Math.round((f * count) / folds));
    const held = select(rows, order.slice(from, to));
    const rest = order.filter((_, i) => i < from! || i >= to!);
    // Each fold has the same weights at the start, as scikit-learn clones its classifier.
    const random = new RandomStream(seed + 1);
    const classifier = new Perceptron({ columns: rows.columns, random });
    try {
      await classifier.fit(select(rows, rest), async () => {
        // Lets whoever holds the signal have a turn, as `wasm` computes without ever waiting.
        await new Promise((resolve) => setTimeout(resolve));
        if (signal?.aborted) throw signal.reason;
      });
      accuracies.push(await classifier.accuracy(held));
    } finally {
      classifier.dispose();
    }
    progress?.(fold + 1);
  }
  return { accuracy: accuracies.reduce((a, b) => a + b, 0) / folds, folds: accuracies };
}

/** Both samples, standardized by the first one, and which is which. */
function labelled(reference: Points, samples: Points): LabelledRows {
  const { rows, columns } = requirePoints('c2st', 'the reference', reference);
  const other = requirePoints('c2st', 'samples', samples);
  if (other.rows !== rows || other.columns !== columns) {
    throw new ShapeError(
      `c2st: the reference is ${rows} samples of ${columns} numbers, and the samples are ${other.rows} of ` +
        `${other.columns}; expected as many, since ½ is the accuracy of chance only then.`,
    );
  }
  const row = (i: number) =>
    Float64Array.from({ length: columns }, (_, c) => reference.data[i * columns + c]!);
  const { mean, deviation } = posteriorMoments(
    (function* () {
      for (let i = 0; i < rows; i++) yield row(i);
    })(),
  );
  const constant = deviation.indexOf(0);
  if (constant >= 0) {
    throw new ValueError(
      `c2st: number ${constant} of all reference samples is ${mean[constant]}; expected samples that differ.`,
    );
  }
  const size = rows * columns;
  const data = Float64Array.from({ length: 2 * size }, (_, i) => {
    const value = i < size ? reference.data[i]! : samples.data[i - size]!;
    return (value - mean[i % columns]!) / deviation[i % columns]!;
  });
  const labels = Uint8Array.from({ length: 2 * rows }, (_, i) => (i < rows ? 0 : 1));
  return { columns, data, labels };
}

function select({ columns, data, labels }: LabelledRows, some: Uint32Array): LabelledRows {
  const rows = new Float64Array(some.length * columns);
  for (const [i, row] of some.entries()) {
    rows.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  return { columns, data: rows, labels: Uint8Array.from(some, (row) => labels[row]!) };
}
