/**
 * What a posterior says in two numbers a parameter or a pixel, and how right that is: maps of mean, deviation and
 * error, z-scores and contraction. Mathematics: docs/math/metrics/calibration.md
 */
import { requireBetween, requireRecord, ValueError } from '@invnet/tensor';
import { requireAlike, requireNumbers } from './numbers.ts';

/** Number by number. */
export interface PosteriorMoments {
  readonly mean: Float64Array;
  /** Root of the unbiased variance. */
  readonly deviation: Float64Array;
  readonly count: number;
}

/**
 * Mean and standard deviation of samples, number by number, in one pass (Welford, 1962): samples may come one at a
 * time, and are not kept.
 *
 * @param samples - Arrays of one length, at least two: images, or vectors of parameters.
 * @throws ValueError for numbers that are not finite, and fewer than two samples.
 * @throws ShapeError unless all have one length.
 * @example const { mean, deviation } = posteriorMoments([[1, 2], [3, 2]]); // [2, 2] and [1.41…, 0]
 */
export function posteriorMoments(samples: Iterable<ArrayLike<number>>): PosteriorMoments {
  const op = 'posteriorMoments';
  if (!(typeof samples === 'object' && samples !== null && Symbol.iterator in samples)) {
    throw new ValueError(`${op}: samples are no list; expected one of arrays.`);
  }
  let count = 0;
  let [mean, squares] = [new Float64Array(), new Float64Array()];
  for (const sample of samples) {
    requireNumbers(op, `sample ${count}`, sample);
    if (count === 0) {
      [mean, squares] = [new Float64Array(sample.length), new Float64Array(sample.length)];
    }
    requireAlike(op, [`sample ${count}`, sample], ['the first one', mean]);
    count += 1;
    for (let i = 0; i < mean.length; i++) {
      const off = sample[i]! - mean[i]!;
      mean[i]! += off / count;
      squares[i]! += off * (sample[i]! - mean[i]!);
    }
  }
  if (count < 2) throw new ValueError(`${op}: there are ${count} samples; expected at least 2.`);
  return { mean, deviation: squares.map((sum) => Math.sqrt(sum / (count - 1))), count };
}

/**
 * (mean − truth)/deviation, number by number: how many posterior deviations the estimate is off. Of exact posteriors
 * their mean is 0 and their mean square 1, for normal ones they are standard normal (Schad, Betancourt and Vasishth,
 * "Toward a principled Bayesian workflow in cognitive science", 2021). Of images it is the map of errors in units of
 * what was promised.
 *
 * @throws ValueError for numbers that are not finite, and deviations that are not above 0.
 * @throws ShapeError unless all have one length.
 * @example zScores([0, 1], { mean: [0.5, 1], deviation: [0.5, 2] }); // [1, 0]
 */
export function zScores(
  truth: ArrayLike<number>,
  moments: { readonly mean: ArrayLike<number>; readonly deviation: ArrayLike<number> },
): Float64Array {
  requireRecord('zScores', 'moments', moments, '{ mean, deviation }');
  const { mean, deviation } = moments;
  requireAlike('zScores', ['the mean', mean], ['the truth', truth]);
  requireAlike('zScores', ['the deviation', deviation], ['the truth', truth]);
  return Float64Array.from(truth, (t, i) => {
    requireBetween('zScores', `deviation[${i}]`, deviation[i]!, 0);
    return (mean[i]! - t) / deviation[i]!;
  });
}

/**
 * 1 − (deviation/prior deviation)², number by number: near 1 data tell all, near 0 nothing beyond the prior, and below
 * 0 the posterior is wider than it (Schad, Betancourt and Vasishth, 2021).
 *
 * @param deviation - Of the posterior, not negative.
 * @param priorDeviation - Of the prior, above 0.
 * @throws ValueError for numbers out of range. @throws ShapeError unless both have one length.
 * @example contraction([0.1, 1], [1, 1]); // [0.99, 0]
 */
export function contraction(
  deviation: ArrayLike<number>,
  priorDeviation: ArrayLike<number>,
): Float64Array {
  requireAlike(
    'contraction',
    ['the deviation', deviation],
    ['the prior deviation', priorDeviation],
  );
  return Float64Array.from(deviation, (d, i) => {
    if (d < 0) throw new ValueError(`contraction: deviation[${i}] is ${d}; expected none below 0.`);
    requireBetween('contraction', `priorDeviation[${i}]`, priorDeviation[i]!, 0);
    return 1 - (d / priorDeviation[i]!) ** 2;
  });
}
