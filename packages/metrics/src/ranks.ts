/**
 * Rank statistics of simulation-based calibration (Talts et al., "Validating Bayesian inference algorithms
 * with simulation-based calibration", 2018), judged by bands that hold for the whole curve at once (Säilynoja,
 * Bürkner and Vehtari, "Graphical test for discrete uniformity and its applications", 2022).
 * Mathematics: docs/math/metrics/calibration.md
 */
import {
  type RandomStream,
  requireBetween,
  requireFinite,
  requireOptions,
  requireStream,
  requireWhole,
} from '@invnet/tensor';
import {
  binomial,
  countsAbove,
  logFactorialsTo,
  quantile,
  stayingWithin,
  tailOf,
} from './binomial.ts';
import { requireNumbers } from './numbers.ts';

/**
 * How many draws are below a value: uniform over 0 … draws.length where value and draws come from one
 * distribution, as a functional of the truth and of posterior samples do.
 *
 * @param options - `random`: where equal numbers are taken in random order, as counts need it. By default they
 * are not below, which is right for continuous distributions.
 * @throws ValueError for numbers that are not finite.
 * @example rankAmong(0.3, [0.1, 0.2, 0.5]); // 2
 */
export function rankAmong(
  value: number,
  draws: ArrayLike<number>,
  options: { readonly random?: RandomStream } = {},
): number {
  requireOptions('rankAmong', options, ['random']);
  requireFinite('rankAmong', 'value', value);
  requireNumbers('rankAmong', 'draws', draws);
  const { random } = options;
  let [below, equal] = [0, 0];
  for (let i = 0; i < draws.length; i++) {
    if (draws[i]! < value) below += 1;
    else if (draws[i]! === value) equal += 1;
  }
  if (random === undefined) return below;
  const [place] = requireStream('rankAmong', random).uniformArray(1, 0, equal + 1);
  return below + Math.floor(place!);
}

/** The empirical distribution function of ranks less that of uniform ones. */
export interface EcdfDifference {
  /** z = k/(draws + 1), k = 1 … draws. */
  readonly at: Float64Array;
  /** The share of ranks below k, less z. */
  readonly difference: Float64Array;
}

/**
 * The curve that `ecdfBand` judges: above zero where ranks are too low, a hump and a dip where posteriors are
 * too narrow or too wide.
 *
 * @param options - `draws`: how many each rank is among, so that ranks are 0 … draws.
 * @throws ValueError for a rank that is none.
 * @example
 * const { at, difference } = ecdfDifference(ranks, { draws: 63 });
 * const { lower, upper } = ecdfBand({ count: ranks.length, draws: 63 });
 * const calibrated = difference.every((d, k) => d >= lower[k]! && d <= upper[k]!);
 */
export function ecdfDifference(
  ranks: ArrayLike<number>,
  options: { readonly draws: number },
): EcdfDifference {
  requireOptions('ecdfDifference', options, ['draws']);
  const { draws } = options;
  const below = countsBelow('ecdfDifference', ranks, draws);
  const at = places(draws);
  return { at, difference: at.map((z, k) => below[k]! / ranks.length - z) };
}

/** Within which the differences of uniform ranks stay. */
export interface EcdfBand extends Pick<EcdfDifference, 'at'> {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** With which probability they do, all at once: the first from the one asked for on. */
  readonly probability: number;
}

/**
 * A simultaneous band for `ecdfDifference`. At each place it ends at equal tails of the binomial distribution
 * of the count there; the tails are the largest for which a whole curve stays inside with the probability
 * asked for, which is computed exactly, as counts along the curve are a Markov chain.
 *
 * @param options - `count`: number of ranks, up to 10⁵; `draws`: how many each is among, up to 10⁴;
 * `probability`: default 0.95.
 * @throws ValueError for options out of range.
 * @example ecdfBand({ count: 500, draws: 63 }).upper[31]; // 0.05…
 */
export function ecdfBand(options: {
  readonly count: number;
  readonly draws: number;
  readonly probability?: number;
}): EcdfBand {
  requireOptions('ecdfBand', options, ['count', 'draws', 'probability']);
  const { count, draws, probability = 0.95 } = options;
  requireWhole('ecdfBand', 'count', count, 1, MOST_RANKS);
  requireWhole('ecdfBand', 'draws', draws, 1, MOST_DRAWS);
  requireBetween('ecdfBand', 'probability', probability, 0, 1);
  const at = places(draws);
  const logFactorials = logFactorialsTo(count);
  const binomials = Array.from(at, (z) => binomial(count, z, logFactorials));
  const probabilityOf = (tail: number) => {
    const bounds = binomials.map((b) => [quantile(b, tail), quantile(b, 1 - tail)] as const);
    return { bounds, probability: stayingWithin(bounds, count, logFactorials) };
  };

  // Tails of all places together would be the whole of what may leave the band, which is too cautious.
  let low = (1 - probability) / 2 / draws;
  let high = (1 - probability) / 2;
  let best = probabilityOf(low);
  for (let i = 0; i < 30 && high - low > 1e-4 * low; i++) {
    const tail = (low + high) / 2;
    const tried = probabilityOf(tail);
    if (tried.probability < probability) high = tail;
    else [low, best] = [tail, tried];
  }
  return {
    at,
    lower: at.map((z, k) => best.bounds[k]![0] / count - z),
    upper: at.map((z, k) => best.bounds[k]![1] / count - z),
    probability: best.probability,
  };
}

/** Whether ranks are uniform, and how they are not. */
export interface RankTest {
  /** Of a curve at least as far from the uniform one, measured by its least binomial tail: exact. */
  readonly pValue: number;
  /** Mean rank less that of uniform ones, in standard errors: above 0 where posteriors are too low. */
  readonly bias: number;
  /** Mean squared distance of ranks to the middle, likewise: above 0 where posteriors are too narrow. */
  readonly spread: number;
}

/**
 * Tests ranks for uniformity by the whole of their distribution function, as `ecdfBand` does, with the exact
 * probability of a curve as far away. `bias` and `spread` are normal up to chance, and say in which way ranks are
 * not uniform.
 *
 * @param options - `draws`: how many each rank is among, so that ranks are 0 … draws.
 * @throws ValueError for a rank that is none.
 * @example rankTest(ranks, { draws: 99 }).pValue < 0.01; // not calibrated
 */
export function rankTest(ranks: ArrayLike<number>, options: { readonly draws: number }): RankTest {
  requireOptions('rankTest', options, ['draws']);
  const { draws } = options;
  const below = countsBelow('rankTest', ranks, draws);
  const count = ranks.length;
  requireWhole('rankTest', 'number of ranks', count, 1, MOST_RANKS);
  const logFactorials = logFactorialsTo(count);
  const binomials = Array.from(places(draws), (z) => binomial(count, z, logFactorials));
  const least = binomials.reduce((tail, b, k) => Math.min(tail, tailOf(b, below[k]!)), 1);
  const nearer = binomials.map((b) => countsAbove(b, least));
  // A curve that is nowhere as far out as the farthest place of this one.
  const staying = stayingWithin(nearer, count, logFactorials);
  let [mean, square] = [0, 0];
  for (let i = 0; i < count; i++) {
    mean += (ranks[i]! - draws / 2) / count;
    square += (ranks[i]! - draws / 2) ** 2 / count;
  }
  const variance = (draws * (draws + 2)) / 12;
  const fourth = (variance * (3 * (draws + 1) ** 2 - 7)) / 20;
  return {
    pValue: Math.min(1, Math.max(1 - staying, least)),
    bias: mean * Math.sqrt(count / variance),
    // Of one draw all ranks are as far from the middle.
    spread: draws === 1 ? 0 : (square - variance) * Math.sqrt(count / (fourth - variance ** 2)),
  };
}

/** How many ranks are below k = 1 … draws. @throws ValueError for a rank that is none. */
export function countsBelow(op: string, ranks: ArrayLike<number>, draws: number): Float64Array {
  requireWhole(op, 'draws', draws, 1, MOST_DRAWS);
  requireNumbers(op, 'ranks', ranks);
  const counts = new Float64Array(draws);
  for (let i = 0; i < ranks.length; i++) {
    requireWhole(op, `ranks[${i}]`, ranks[i]!, 0, draws);
    if (ranks[i]! < draws) counts[ranks[i]!]! += 1;
  }
  for (let k = 1; k < draws; k++) counts[k]! += counts[k - 1]!;
  return counts;
}

const MOST_RANKS = 1e5;
const MOST_DRAWS = 1e4;

/** k/(draws + 1), k = 1 … draws. */
export function places(draws: number): Float64Array {
  return Float64Array.from({ length: draws }, (_, k) => (k + 1) / (draws + 1));
}
