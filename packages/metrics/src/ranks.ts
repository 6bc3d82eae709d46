/**
 * Rank statistics of simulation-based calibration (Talts et al., "Validating Bayesian inference algorithms
 * with simulation-based calibration", 2018), judged by bands that hold for the whole curve at once (Säilynoja,
 * Bürkner and Vehtari, "Graphical test for discrete uniformity and its applications", 2022).
 * Mathematics: docs/math/metrics/calibration.md
 */
import { requireBetween, requireFinite, requireOptions, requireWhole } from '@invnet/tensor';
import { requireNumbers } from './numbers.ts';

/**
 * How many draws are below a value: uniform over 0 … draws.length where value and draws come from one
 * continuous distribution, as a functional of the truth and of posterior samples do.
 *
 * @throws ValueError for numbers that are not finite.
 * @example rankAmong(0.3, [0.1, 0.2, 0.5]); // 2
 */
export function rankAmong(value: number, draws: ArrayLike<number>): number {
  requireFinite('rankAmong', 'value', value);
  requireNumbers('rankAmong', 'draws', draws);
  let rank = 0;
  for (let i = 0; i < draws.length; i++) if (draws[i]! < value) rank += 1;
  return rank;
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
  requireWhole('ecdfDifference', 'draws', draws, 1, MOST_DRAWS);
  requireNumbers('ecdfDifference', 'ranks', ranks);
  const counts = new Float64Array(draws + 1);
  for (let i = 0; i < ranks.length; i++) {
    requireWhole('ecdfDifference', `ranks[${i}]`, ranks[i]!, 0, draws);
    counts[ranks[i]!]! += 1;
  }
  const at = places(draws);
  let below = 0;
  const difference = at.map((z, k) => {
    below += counts[k]!;
    return below / ranks.length - z;
  });
  return { at, difference };
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
  const logFactorials = new Float64Array(count + 1);
  for (let n = 1; n <= count; n++) logFactorials[n] = logFactorials[n - 1]! + Math.log(n);
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

const MOST_RANKS = 1e5;
const MOST_DRAWS = 1e4;

function places(draws: number): Float64Array {
  return Float64Array.from({ length: draws }, (_, k) => (k + 1) / (draws + 1));
}

/** Probabilities of the counts first, first + 1, …; those left out are below 1e-17 of the largest. */
interface Binomial {
  readonly first: number;
  readonly masses: readonly number[];
}

/** n trials with probability p, from the likeliest count outward. */
function binomial(n: number, p: number, logFactorials: Float64Array): Binomial {
  const mode = Math.min(Math.floor((n + 1) * p), n);
  const odds = p / (1 - p);
  const logMass =
    logFactorials[n]! -
    logFactorials[mode]! -
    logFactorials[n - mode]! +
    (mode > 0 ? mode * Math.log(p) : 0) +
    (mode < n ? (n - mode) * Math.log1p(-p) : 0);
  const top = Math.exp(logMass);
  const least = 1e-17 * top;
  const below: number[] = [];
  for (let k = mode, mass = top; k > 0; k--) {
    mass *= k / ((n - k + 1) * odds);
    if (mass < least) break;
    below.push(mass);
  }
  const above: number[] = [];
  for (let k = mode, mass = top; k < n; k++) {
    mass *= ((n - k) * odds) / (k + 1);
    if (mass < least) break;
    above.push(mass);
  }
  return { first: mode - below.length, masses: [...below.reverse(), top, ...above] };
}

/** The least count at or below which there is that much. */
function quantile({ first, masses }: Binomial, probability: number): number {
  let sum = 0;
  for (let i = 0; i < masses.length; i++) {
    sum += masses[i]!;
    if (sum >= probability) return first + i;
  }
  return first + masses.length - 1;
}

/**
 * The probability that counts of uniform ranks stay within bounds at all places: from count m at one place, m +
 * Bin(n − m, q) come to the next, where q is the share of the ranks still to come that fall in between.
 */
function stayingWithin(
  bounds: readonly (readonly [number, number])[],
  count: number,
  logFactorials: Float64Array,
): number {
  let chance = new Map([[0, 1]]);
  for (const [k, [lower, upper]] of bounds.entries()) {
    const share = 1 / (bounds.length + 1 - k);
    const next = new Map<number, number>();
    for (const [m, mass] of chance) {
      const { first, masses } = binomial(count - m, share, logFactorials);
      const from = Math.max(lower, m + first);
      const to = Math.min(upper, m + first + masses.length - 1);
      for (let c = from; c <= to; c++) {
        next.set(c, (next.get(c) ?? 0) + mass * masses[c - m - first]!);
      }
    }
    chance = next;
  }
  let total = 0;
  for (const mass of chance.values()) total += mass;
  return total;
}
