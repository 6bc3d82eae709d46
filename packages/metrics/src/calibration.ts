/** Whether uncertainties are as large as they should be. Mathematics: docs/math/metrics/calibration.md */
import {
  requireBetween,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { requireAlike, requireNumbers } from './numbers.ts';

/**
 * The share of true numbers that lie in the central interval of their samples, for each level; of exact
 * posterior samples it is the level itself. The ends of an interval are the (S + 1)q-th of S sorted samples,
 * interpolated, which makes that hold for few samples as well.
 *
 * @param samples - Draws of the posterior, each an array as long as the truth.
 * @param options - `levels`: probabilities in (0, 1), such as 0.9.
 * @throws ValueError for numbers that are not finite, and levels not in (0, 1).
 * @throws ShapeError unless all arrays have one length, and there are samples enough for each level: (S + 1)(1 −
 * level)/2 must be at least 1, so 0.95 needs 39.
 * @example const [half, most] = coverage(samples, truth, { levels: [0.5, 0.95] });
 */
export function coverage(
  samples: readonly ArrayLike<number>[],
  truth: ArrayLike<number>,
  options: { readonly levels: readonly number[] },
): number[] {
  requireOptions('coverage', options, ['levels']);
  requireList('coverage', 'samples', samples, 'a list of arrays');
  for (const [s, sample] of samples.entries()) {
    requireAlike('coverage', [`sample ${s}`, sample], ['the truth', truth]);
  }
  const { levels } = options;
  requireNumbers('coverage', 'levels', levels);
  for (const level of levels) requireLevel(level, samples.length);
  const inside = Array.from(levels, () => 0);
  const draws = new Float64Array(samples.length);
  for (let i = 0; i < truth.length; i++) {
    for (let s = 0; s < draws.length; s++) draws[s] = samples[s]![i]!;
    draws.sort();
    for (let l = 0; l < levels.length; l++) {
      const tail = (1 - levels[l]!) / 2;
      if (truth[i]! < quantile(draws, tail) || truth[i]! > quantile(draws, 1 - tail)) continue;
      inside[l]! += 1;
    }
  }
  return inside.map((count) => count / truth.length);
}

/** What is said of the numbers whose predicted deviation lies in one bin. */
export interface CalibrationBin {
  readonly count: number;
  /** Root of the mean of squared predicted deviations. */
  readonly deviation: number;
  /** Root of the mean of squared errors. */
  readonly error: number;
}

/** What `uncertaintyCalibration` gives. */
export interface UncertaintyCalibration {
  /** Uncertainty calibration error, in the unit of the errors. */
  readonly uce: number;
  /** Bins that hold anything, by rising deviation: the calibration curve. */
  readonly bins: readonly CalibrationBin[];
}

/**
 * Compares predicted deviations with the errors that were made: numbers are put into bins of equal width by
 * their deviation, and UCE = Σ_b (n_b/n)·|RMSE_b − RMSD_b|, the mean distance of the calibration curve from the
 * diagonal (Laves et al., "Well-calibrated regression uncertainty in medical imaging with deep learning",
 * 2020; with roots, so that it has the unit of the image).
 *
 * @param errors - Estimate less truth.
 * @param deviations - What the posterior says they are, not negative.
 * @param options - `bins`: how many. Default: 10.
 * @throws ValueError for numbers that are not finite, negative deviations, and bins not from 1 to 1000.
 * @throws ShapeError unless there are as many errors as deviations.
 * @example const { uce, bins } = uncertaintyCalibration(errors, deviations);
 */
export function uncertaintyCalibration(
  errors: ArrayLike<number>,
  deviations: ArrayLike<number>,
  options: { readonly bins?: number } = {},
): UncertaintyCalibration {
  const op = 'uncertaintyCalibration';
  requireOptions(op, options, ['bins']);
  const { bins = 10 } = options;
  requireWhole(op, 'bins', bins, 1, 1000);
  requireAlike(op, ['errors', errors], ['deviations', deviations]);
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < deviations.length; i++) {
    least = Math.min(least, deviations[i]!);
    most = Math.max(most, deviations[i]!);
  }
  if (least < 0) throw new ValueError(`${op}: a deviation is ${least}; expected none below 0.`);
  const sums = Array.from({ length: bins }, () => ({ count: 0, deviation: 0, error: 0 }));
  for (let i = 0; i < deviations.length; i++) {
    const place = most > least ? (deviations[i]! - least) / (most - least) : 0;
    const bin = sums[Math.min(Math.floor(place * bins), bins - 1)]!;
    bin.count += 1;
    bin.deviation += deviations[i]! ** 2;
    bin.error += errors[i]! ** 2;
  }
  const filled = sums
    .filter(({ count }) => count > 0)
    .map(({ count, deviation, error }) => ({
      count,
      deviation: Math.sqrt(deviation / count),
      error: Math.sqrt(error / count),
    }));
  const distance = (b: CalibrationBin) => b.count * Math.abs(b.error - b.deviation);
  const uce = filled.reduce((sum, bin) => sum + distance(bin), 0) / errors.length;
  return { uce, bins: filled };
}

function requireLevel(level: number, samples: number): void {
  requireBetween('coverage', 'a level', level, 0, 1);
  const needed = 2 / (1 - level) - 1;
  // 2/(1 − 0.9) − 1 is a little more than 19.
  if (samples >= needed - 1e-9) return;
  throw new ShapeError(
    `coverage: ${samples} samples cannot tell an interval of ${level}; expected at least ` +
      `${Math.ceil(needed - 1e-9)}.`,
  );
}

/** The (S + 1)q-th of S sorted numbers, interpolated. */
function quantile(sorted: Float64Array, q: number): number {
  const place = Math.min(Math.max((sorted.length + 1) * q - 1, 0), sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}
