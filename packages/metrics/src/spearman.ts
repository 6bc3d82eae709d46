/** Rank correlation. Mathematics: docs/math/metrics/calibration.md */
import { ValueError } from '@invnet/tensor';
import { requireAlike } from './numbers.ts';

/**
 * Spearman's ρ: the correlation of ranks, those of equal numbers averaged; 1 where one array rises whenever
 * the other does, −1 where it falls. Between |error| and predicted deviation it says whether a posterior
 * knows where it is wrong.
 *
 * @throws ValueError for numbers that are not finite, and for an array of equal numbers.
 * @throws ShapeError unless there are as many numbers in both.
 * @example spearman([1, 2, 3], [1, 4, 9]); // 1
 */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  requireAlike('spearman', ['the first array', a], ['the second array', b]);
  const [ra, rb] = [centredRanks(a), centredRanks(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < ra.length; i++) {
    ab += ra[i]! * rb[i]!;
    aa += ra[i]! ** 2;
    bb += rb[i]! ** 2;
  }
  if (aa > 0 && bb > 0) return ab / Math.sqrt(aa * bb);
  throw new ValueError('spearman: all numbers of an array are equal; expected some that differ.');
}

/** Ranks less their mean; equal numbers share the mean of their ranks. */
function centredRanks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((i, j) => values[i]! - values[j]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    const rank = (start + end - 1) / 2 - (values.length - 1) / 2;
    for (let i = start; i < end; i++) ranks[order[i]!] = rank;
    start = end;
  }
  return ranks;
}
