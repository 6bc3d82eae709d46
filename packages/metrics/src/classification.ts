/** How well labels are found. Mathematics: docs/math/metrics/classification.md */
import {
  formatValue,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { requireAlike, requireNumbers } from './numbers.ts';

/** Counts: entry [i][j] is how many of class i were taken for class j. */
export type ConfusionMatrix = readonly (readonly number[])[];

/**
 * Counts how often each class was taken for each.
 *
 * @param labels - The true classes, from 0 on.
 * @param options - `classes`: how many there are. `mask`: 0 for what is left out, whatever its labels are;
 * by default everything counts.
 * @throws ValueError for a class that is none of them, and where nothing is left to count.
 * @throws ShapeError unless all arrays have one length.
 * @example confusionMatrix([0, 1, 1], [0, 0, 1], { classes: 2 }); // [[1, 1], [0, 1]]
 */
export function confusionMatrix(
  predicted: ArrayLike<number>,
  labels: ArrayLike<number>,
  options: { readonly classes: number; readonly mask?: ArrayLike<number> },
): ConfusionMatrix {
  requireOptions('confusionMatrix', options, ['classes', 'mask']);
  const { classes, mask } = options;
  requireWhole('confusionMatrix', 'classes', classes, 1, MOST_CLASSES);
  requireAlike('confusionMatrix', ['predicted', predicted], ['labels', labels]);
  if (mask !== undefined) requireAlike('confusionMatrix', ['labels', labels], ['the mask', mask]);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  let count = 0;
  for (let i = 0; i < labels.length; i++) {
    if (mask?.[i] === 0) continue;
    requireWhole('confusionMatrix', `predicted[${i}]`, predicted[i]!, 0, classes - 1);
    requireWhole('confusionMatrix', `labels[${i}]`, labels[i]!, 0, classes - 1);
    matrix[labels[i]!]![predicted[i]!]! += 1;
    count += 1;
  }
  if (count > 0) return matrix;
  throw new ValueError('confusionMatrix: the mask leaves nothing; expected some of it above 0.');
}

/** The share of all that were found right, Σᵢ cᵢᵢ/n. @throws ValueError, ShapeError unless it is a matrix of counts. */
export function overallAccuracy(matrix: ConfusionMatrix): number {
  const { total, right } = totals('overallAccuracy', matrix);
  return sumOf(right) / total;
}

/**
 * The mean over classes of the share that was found right; classes that do not occur do not count. In other
 * fields it is balanced accuracy, or mean recall.
 *
 * @throws ValueError, ShapeError unless it is a matrix of counts.
 */
export function averageAccuracy(matrix: ConfusionMatrix): number {
  const { right, labels } = totals('averageAccuracy', matrix);
  const recalls = right.map((r, i) => r / labels[i]!).filter((_, i) => labels[i]! > 0);
  return sumOf(recalls) / recalls.length;
}

/**
 * Cohen's κ, (pₒ − pₑ)/(1 − pₑ): agreement beyond that of labels drawn with the same frequencies (Cohen, "A
 * coefficient of agreement for nominal scales", 1960).
 *
 * @throws ValueError where there is one class and nothing else, which makes it 0/0.
 * @throws ValueError, ShapeError unless it is a matrix of counts.
 */
export function cohenKappa(matrix: ConfusionMatrix): number {
  const { total, right, labels, predicted } = totals('cohenKappa', matrix);
  const observed = sumOf(right) / total;
  const expected = sumOf(labels.map((n, i) => (n / total) * (predicted[i]! / total)));
  if (expected < 1) return (observed - expected) / (1 - expected);
  throw new ValueError('cohenKappa: all is of one class; expected labels of at least two.');
}

/**
 * Intersection over union of each class, cᵢᵢ/(labelled i + predicted i − cᵢᵢ), and their mean; a class that
 * occurs in neither has none and does not count.
 *
 * @throws ValueError, ShapeError unless it is a matrix of counts.
 * @example intersectionOverUnion([[1, 1], [0, 1]]); // { classes: [0.5, 0.5], mean: 0.5 }
 */
export function intersectionOverUnion(matrix: ConfusionMatrix): {
  readonly classes: readonly (number | undefined)[];
  readonly mean: number;
} {
  const { right, labels, predicted } = totals('intersectionOverUnion', matrix);
  const unions = right.map((r, i) => labels[i]! + predicted[i]! - r);
  const classes = unions.map((union, i) => (union > 0 ? right[i]! / union : undefined));
  const there = classes.filter((value) => value !== undefined);
  return { classes, mean: sumOf(there) / there.length };
}

/** A matrix of more would not fit into memory. */
const MOST_CLASSES = 4096;

/** Sums of rows, of columns and of all, and the diagonal. */
function totals(op: string, matrix: ConfusionMatrix) {
  requireList(op, 'the matrix', matrix, 'a list of rows');
  for (const row of matrix) {
    requireNumbers(op, 'a row', row);
    if (row.length !== matrix.length) {
      throw new ShapeError(
        `${op}: a row has ${row.length} counts of ${matrix.length} rows; expected a square matrix.`,
      );
    }
    const bad = row.find((count) => !Number.isSafeInteger(count) || count < 0);
    if (bad === undefined) continue;
    throw new ValueError(`${op}: the matrix holds ${formatValue(bad)}; expected counts.`);
  }
  const labels = matrix.map((row) => sumOf(row));
  const predicted = matrix.map((_, j) => sumOf(matrix.map((row) => row[j]!)));
  const total = sumOf(labels);
  if (total === 0) throw new ValueError(`${op}: the matrix counts nothing.`);
  return { right: matrix.map((row, i) => row[i]!), labels, predicted, total };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
