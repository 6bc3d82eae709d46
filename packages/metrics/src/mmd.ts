/** Maximum mean discrepancy of two samples. Mathematics: docs/math/metrics/two-samples.md */
import { requireBetween, requireOptions, ValueError } from '@invnet/tensor';
import { permutationTest, requirePermutations, squaredDistances } from './pairs.ts';
import { type Points, requireTwoSamples } from './points.ts';

/** What `mmd` gives. */
export interface MaximumMeanDiscrepancy {
  /** The unbiased estimate of MMD², which is below 0 at times. */
  readonly squared: number;
  /** Of the kernel. */
  readonly bandwidth: number;
  /** The share of permutations of both samples that give as much. */
  readonly pValue: number;
}

/**
 * Maximum mean discrepancy with the kernel k(a, b) = exp(−‖a − b‖²/(2h²)), by the unbiased estimate of MMD² = E k(x, x') −
 * 2 E k(x, y) + E k(y, y'), which is 0 for equal distributions and for no others (Gretton et al., "A kernel two-sample
 * test", 2012). Axes in different units are to be brought to one scale before.
 *
 * @param x - [N, …] @param y - [M, …], as many numbers a sample; N + M at most 5000.
 * @param options - `bandwidth`: h; default: the median distance of all pairs. `permutations` for the p-value: default
 * 199. `seed`: default 0.
 * @throws ValueError for options out of range, too few or too many samples, and samples that are all equal.
 * @throws ShapeError for samples of different lengths.
 * @example const { squared, pValue } = mmd(posterior, reference);
 */
export function mmd(
  x: Points,
  y: Points,
  options: {
    readonly bandwidth?: number;
    readonly permutations?: number;
    readonly seed?: number;
  } = {},
): MaximumMeanDiscrepancy {
  requireOptions('mmd', options, ['bandwidth', 'permutations', 'seed']);
  const { permutations = 199, seed = 0 } = options;
  requirePermutations('mmd', permutations);
  if (options.bandwidth !== undefined) requireBetween('mmd', 'bandwidth', options.bandwidth, 0);
  const { rows, columns } = requireTwoSamples('mmd', x, y);
  const pairs = squaredDistances('mmd', [x, y], columns);
  const bandwidth = options.bandwidth ?? medianDistance(pairs);
  for (let i = 0; i < pairs.length; i++) pairs[i] = Math.exp(-pairs[i]! / (2 * bandwidth ** 2));
  const { value, pValue } = permutationTest(pairs, ({ xx, yy, xy }) => xx + yy - 2 * xy, {
    rows,
    permutations,
    seed,
  });
  return { squared: value, bandwidth, pValue };
}

function medianDistance(squares: Float64Array): number {
  const sorted = squares.slice().sort();
  const [below, above] = [sorted[(sorted.length - 1) >> 1]!, sorted[sorted.length >> 1]!];
  const median = (Math.sqrt(below) + Math.sqrt(above)) / 2;
  if (median > 0 && Number.isFinite(median)) return median;
  throw new ValueError(
    `mmd: the median distance of samples is ${median}; expected samples that differ, or a bandwidth.`,
  );
}
