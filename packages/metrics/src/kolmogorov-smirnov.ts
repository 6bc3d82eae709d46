/** Kolmogorov and Smirnov's test of two samples. Mathematics: docs/math/metrics/two-samples.md */
import { type Points, requireTwoSamples } from './points.ts';

/** What is said of one number of the samples. */
export interface KolmogorovSmirnov {
  /** The largest distance of the two distribution functions. */
  readonly statistic: number;
  /** Of at least that distance, if both samples come from one continuous distribution. */
  readonly pValue: number;
}

/**
 * The largest distance of the empirical distribution functions of two samples, for each number of a sample apart, and
 * its p-value: exact up to N·M = 10⁷, by the count of lattice paths (Hodges, 1958), asymptotic beyond. What differs in
 * dependence alone it does not see. Of K numbers the least p-value is to be held against level/K.
 *
 * @param x - [N, …] @param y - [M, …], as many numbers a sample.
 * @throws ValueError for numbers that are not finite. @throws ShapeError for samples of different lengths.
 * @example const least = Math.min(...kolmogorovSmirnov(x, y).map(({ pValue }) => pValue));
 */
export function kolmogorovSmirnov(x: Points, y: Points): KolmogorovSmirnov[] {
  const { rows, columns } = requireTwoSamples('kolmogorovSmirnov', x, y);
  return Array.from({ length: columns }, (_, d) => {
    const statistic = largestDistance(column(x, d, columns), column(y, d, columns));
    return { statistic, pValue: pValueOf(statistic, rows) };
  });
}

/** Sorted. */
function column({ data }: Points, d: number, columns: number): Float64Array {
  return Float64Array.from(
    { length: data.length / columns },
    (_, i) => data[i * columns + d]!,
  ).sort();
}

function largestDistance(a: Float64Array, b: Float64Array): number {
  let [i, j, largest] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i]!, b[j]!);
    while (i < a.length && a[i] === value) i++;
    while (j < b.length && b[j] === value) j++;
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length));
  }
  return largest;
}

function pValueOf(distance: number, [n, m]: readonly [number, number]): number {
  const p = n * m <= 1e7 ? 1 - shareOfPathsBelow(distance, n, m) : asymptotic(distance, n, m);
  return Math.min(1, Math.max(0, p));
}

/**
 * All orders of both samples together are paths from (0, 0) to (n, m), equally likely; those stay below whose points
 * all have |i/n − j/m| < distance. Row by row: the share of the paths to (i, j) that did so.
 */
function shareOfPathsBelow(distance: number, n: number, m: number): number {
  // Half a step below, so that rounding does not decide.
  const bound = (Math.round(distance * n * m) - 0.5) / (n * m);
  const share = Float64Array.from({ length: m + 1 }, (_, j) => (j / m > bound ? 0 : 1));
  for (let i = 1; i <= n; i++) {
    if (i / n > bound) share[0] = 0;
    for (let j = 1; j <= m; j++) {
      const off = Math.abs(i / n - j / m) > bound;
      share[j] = off ? 0 : (i * share[j]! + j * share[j - 1]!) / (i + j);
    }
  }
  return share[m]!;
}

/** Kolmogorov's 2 Σ (−1)ᵏ⁻¹ exp(−2k²λ²). */
function asymptotic(distance: number, n: number, m: number): number {
  const square = distance ** 2 * ((n * m) / (n + m));
  // The series is slow where its sum is 1.
  if (square < 0.04) return 1;
  let sum = 0;
  for (let k = 1; k <= 40; k++) sum += 2 * (k % 2 === 1 ? 1 : -1) * Math.exp(-2 * k * k * square);
  return sum;
}
