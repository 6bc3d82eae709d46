/**
 * Tests of accuracy with random points: coverage of balls around points that know nothing of the truth, which needs
 * draws alone, no density, and sees all parameters at once. Mathematics: docs/math/metrics/calibration.md
 */
import {
  RandomStream,
  requireBetween,
  requireList,
  requireOptions,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { requireAlike, requireNumbers } from './numbers.ts';
import { type Points, requirePoints } from './points.ts';

/** Where distances are measured from, and in which units. */
export interface TarpReferences {
  /** One for each case. */
  readonly points: readonly Float64Array[];
  /** Of each parameter, the range of its true values. */
  readonly scales: Float64Array;
}

/**
 * Points drawn uniformly from the box that holds all true parameters, as the paper has them, one for each case.
 *
 * @param truths - True parameters of each case, arrays of one length.
 * @param options - `seed`: default 0.
 * @throws ValueError for numbers that are not finite, and a parameter that is the same in all cases.
 * @throws ShapeError unless all arrays have one length.
 * @example const { points, scales } = tarpReferences(truths, { seed: 1 });
 */
export function tarpReferences(
  truths: readonly ArrayLike<number>[],
  options: { readonly seed?: number } = {},
): TarpReferences {
  const op = 'tarpReferences';
  requireOptions(op, options, ['seed']);
  requireList(op, 'truths', truths, 'a list of arrays');
  const [first] = truths;
  if (first === undefined) throw new ValueError(`${op}: there are no truths; expected some cases.`);
  requireNumbers(op, 'truths[0]', first);
  const [low, high] = [Float64Array.from(first), Float64Array.from(first)];
  for (const [i, truth] of truths.entries()) {
    requireAlike(op, [`truths[${i}]`, truth], ['truths[0]', first]);
    for (let d = 0; d < low.length; d++) {
      low[d] = Math.min(low[d]!, truth[d]!);
      high[d] = Math.max(high[d]!, truth[d]!);
    }
  }
  for (const [d, least] of low.entries()) {
    if (high[d]! > least && Number.isFinite(high[d]! - least)) continue;
    throw new ValueError(
      `${op}: parameter ${d} is from ${least} to ${high[d]}; expected a range, for cases drawn from the prior.`,
    );
  }
  const random = new RandomStream(options.seed ?? 0);
  const scales = high.map((h, d) => h - low[d]!);
  const points = truths.map(() =>
    random.uniformArray(low.length).map((u, d) => low[d]! + u * scales[d]!),
  );
  return { points, scales };
}

/**
 * How many draws are nearer to a point than the truth is: uniform over 0 … draws where the truth is a draw as well,
 * whatever the point, if it does not depend on the truth. Where that holds for all points, the posterior is exact
 * (Lemos et al., "Sampling-based accuracy testing of posterior estimators for general inference", 2023).
 *
 * @param truth - D numbers.
 * @param draws - Of the posterior, [S, D].
 * @param options - `reference`: the point, D numbers; `scales`: units of the D axes, above 0; default: 1.
 * @throws ValueError for numbers that are not finite. @throws ShapeError for lengths that differ.
 * @example
 * const { points, scales } = tarpReferences(truths);
 * const ranks = truths.map((truth, i) => tarpRank(truth, draws[i], { reference: points[i], scales }));
 * const { pValue } = rankTest(ranks, { draws: 99 });
 */
export function tarpRank(
  truth: ArrayLike<number>,
  draws: Points,
  options: { readonly reference: ArrayLike<number>; readonly scales?: ArrayLike<number> },
): number {
  const op = 'tarpRank';
  requireOptions(op, options, ['reference', 'scales']);
  const { reference, scales } = options;
  requireAlike(op, ['the truth', truth], ['the reference', reference]);
  if (scales !== undefined) requireAlike(op, ['scales', scales], ['the reference', reference]);
  const { rows, columns } = requirePoints(op, 'draws', draws);
  if (columns !== truth.length) {
    throw new ShapeError(
      `${op}: a draw has ${columns} numbers and the truth ${truth.length}; expected as many.`,
    );
  }
  const weights = Array.from(reference, (_, d) => {
    const scale = scales?.[d] ?? 1;
    requireBetween(op, `scales[${d}]`, scale, 0);
    return 1 / scale ** 2;
  });
  const distance = (from: ArrayLike<number>, start: number) => {
    let sum = 0;
    for (let d = 0; d < columns; d++) sum += weights[d]! * (from[start + d]! - reference[d]!) ** 2;
    return sum;
  };
  const radius = distance(truth, 0);
  let rank = 0;
  for (let s = 0; s < rows; s++) if (distance(draws.data, s * columns) < radius) rank += 1;
  return rank;
}
