/** Energy distance of two samples. Mathematics: docs/math/metrics/two-samples.md */
import { requireOptions } from '@invnet/tensor';
import { permutationTest, requirePermutations, squaredDistances } from './pairs.ts';
import { type Points, requireTwoSamples } from './points.ts';

/**
 * Energy distance, √(2 E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖), 0 for equal distributions and for no others, with means over all
 * pairs, a sample and itself among them (Székely and Rizzo, "Energy statistics: a class of statistics based on
 * distances", 2013). It needs no bandwidth; axes in different units are to be brought to one scale before.
 *
 * @param x - [N, …] @param y - [M, …], as many numbers a sample; N + M at most 5000.
 * @param options - `permutations` for the p-value: default 199; `seed`: default 0.
 * @throws ValueError for options out of range, and too few or too many samples.
 * @throws ShapeError for samples of different lengths.
 * @example const { distance, pValue } = energyDistance(posterior, reference);
 */
export function energyDistance(
  x: Points,
  y: Points,
  options: { readonly permutations?: number; readonly seed?: number } = {},
): { readonly distance: number; readonly pValue: number } {
  const op = 'energyDistance';
  requireOptions(op, options, ['permutations', 'seed']);
  const { permutations = 199, seed = 0 } = options;
  requirePermutations(op, permutations);
  const { rows, columns } = requireTwoSamples(op, x, y);
  const pairs = squaredDistances(op, [x, y], columns).map(Math.sqrt);
  const [n, m] = rows;
  // Pairs of a sample and itself, which have no distance.
  const [ofX, ofY] = [(n - 1) / n, (m - 1) / m];
  const { value, pValue } = permutationTest(
    pairs,
    ({ xx, yy, xy }) => 2 * xy - ofX * xx - ofY * yy,
    { rows, permutations, seed },
  );
  return { distance: Math.sqrt(Math.max(0, value)), pValue };
}
