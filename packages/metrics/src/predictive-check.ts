/**
 * Does what a posterior predicts look like what was seen? Summary statistics of the observation among those of
 * replications. Mathematics: docs/math/metrics/calibration.md
 *
 * Left out: the statistics, which whoever knows the data chooses, and the simulation.
 */
import { ShapeError } from '@invnet/tensor';
import { requireNumbers } from './numbers.ts';
import { type Points, requirePoints } from './points.ts';

/** What is said of one statistic. */
export interface PredictiveCheck {
  readonly observed: number;
  /** Of the replications. */
  readonly mean: number;
  readonly deviation: number;
  /** How many replications are below what was seen. */
  readonly rank: number;
  /** Both tails: twice the smaller share of replications at least as far out, what was seen included. */
  readonly pValue: number;
}

/**
 * Compares statistics T(x) of an observation with those of replications x_s ~ p(x|θ_s), θ_s from the posterior
 * (Gelman, Meng and Stern, "Posterior predictive assessment of model fitness via realized discrepancies", 1996), or
 * from the prior. p = 2 min(1 + #{T(x_s) ≥ T(x)}, 1 + #{T(x_s) ≤ T(x)})/(S + 1), at most 1. A small one says that the
 * model, or the posterior, does not give data like these; posteriors that are right give p-values that are nearer
 * to 1 than uniform ones are.
 *
 * @param observed - K statistics of what was seen.
 * @param replicated - The same of each replication, [S, K].
 * @throws ValueError for numbers that are not finite. @throws ShapeError for lengths that differ.
 * @example const [{ pValue }] = predictiveChecks([3.1], { shape: [999, 1], data: statistics });
 */
export function predictiveChecks(
  observed: ArrayLike<number>,
  replicated: Points,
): PredictiveCheck[] {
  const op = 'predictiveChecks';
  requireNumbers(op, 'observed', observed);
  const { rows, columns } = requirePoints(op, 'replicated', replicated);
  if (columns !== observed.length) {
    throw new ShapeError(
      `${op}: a replication has ${columns} statistics and the observation ${observed.length}; expected as many.`,
    );
  }
  return Array.from(observed, (seen, k) => {
    const values = Float64Array.from({ length: rows }, (_, s) => replicated.data[s * columns + k]!);
    const mean = values.reduce((sum, v) => sum + v / rows, 0);
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2 / rows, 0);
    const rank = values.filter((v) => v < seen).length;
    const above = values.filter((v) => v > seen).length;
    const tail = (1 + rows - Math.max(rank, above)) / (rows + 1);
    return {
      observed: seen,
      mean,
      deviation: Math.sqrt(variance),
      rank,
      pValue: Math.min(1, 2 * tail),
    };
  });
}
