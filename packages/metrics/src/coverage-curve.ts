/**
 * How often credible regions of all levels hold the truth, from ranks: of its density among those of draws, of
 * its distance to a point (tarp.ts), of a parameter among its draws. Mathematics: docs/math/metrics/calibration.md
 */
import {
  formatValue,
  RandomStream,
  requireBetween,
  requireOptions,
  requireWhole,
  ValueError,
} from '@invnet/tensor';
import { countsBelow, ecdfBand, places } from './ranks.ts';

/** Coverage by level, and a band around it or around the diagonal. */
export interface CoverageCurve {
  /** k/(draws + 1), k = 1 … draws. */
  readonly levels: Float64Array;
  /** The share of truths in the region of that level. */
  readonly coverage: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

/**
 * Expected coverage: the share of truths within the credible region of each level, with the band in which the whole
 * curve of an exact posterior stays. Above the diagonal posteriors are conservative, below it too sure.
 *
 * @param ranks - Of `densityRank` for regions of highest density, of `centralRanks` for central intervals, or of
 * `tarpRank`: how many draws are further inside than the truth.
 * @param options - `draws`: how many each rank is among; `probability` of the band: default 0.95.
 * @throws ValueError for a rank that is none, and options out of range.
 * @example
 * const { levels, coverage } = coverageCurve(ranks, { draws: 99 });
 * console.log(levels[89], coverage[89]); // 0.9, and the share in regions of 90 %
 */
export function coverageCurve(
  ranks: ArrayLike<number>,
  options: { readonly draws: number; readonly probability?: number },
): CoverageCurve & { readonly probability: number } {
  const op = 'coverageCurve';
  requireOptions(op, options, ['draws', 'probability']);
  const { draws, probability = 0.95 } = options;
  const below = countsBelow(op, ranks, draws);
  const band = ecdfBand({ count: ranks.length, draws, probability });
  return {
    levels: band.at,
    coverage: below.map((count) => count / ranks.length),
    lower: band.lower.map((d, k) => band.at[k]! + d),
    upper: band.upper.map((d, k) => band.at[k]! + d),
    probability: band.probability,
  };
}

/**
 * As `coverageCurve`, with a band around the coverage itself by the bootstrap over cases (Lemos et al., "Sampling-based
 * accuracy testing of posterior estimators for general inference", 2023): at each level apart, the central interval of
 * what cases drawn with replacement give.
 *
 * @param options - `draws`: how many each rank is among; `probability`: default 0.95; `resamples`: default 200; `seed`:
 * default 0.
 * @throws ValueError for a rank that is none, and options out of range.
 * @example const { coverage, lower, upper } = bootstrapCoverage(ranks, { draws: 99 });
 */
export function bootstrapCoverage(
  ranks: ArrayLike<number>,
  options: {
    readonly draws: number;
    readonly probability?: number;
    readonly resamples?: number;
    readonly seed?: number;
  },
): CoverageCurve {
  const op = 'bootstrapCoverage';
  requireOptions(op, options, ['draws', 'probability', 'resamples', 'seed']);
  const { draws, probability = 0.95, resamples = 200, seed = 0 } = options;
  requireBetween(op, 'probability', probability, 0, 1);
  requireWhole(op, 'resamples', resamples, 10, 10_000);
  const below = countsBelow(op, ranks, draws);
  const count = ranks.length;
  const coverage = below.map((n) => n / count);
  const random = new RandomStream(seed);
  const curves = Array.from({ length: resamples }, () => {
    const drawn = random.uniformArray(count).map((u) => ranks[Math.floor(u * count)]!);
    return countsBelow(op, drawn, draws);
  });
  const least = Math.floor(((1 - probability) / 2) * (resamples - 1));
  const [lower, upper] = [new Float64Array(draws), new Float64Array(draws)];
  for (let k = 0; k < draws; k++) {
    const counts = Float64Array.from(curves, (curve) => curve[k]!).sort();
    lower[k] = counts[least]! / count;
    upper[k] = counts[resamples - 1 - least]! / count;
  }
  return { levels: places(draws), coverage, lower, upper };
}

/**
 * How many draws have a higher density than the truth: uniform over 0 … draws.length where the truth is a draw as
 * well. The truth lies in the region of highest density of level p if that is below p·(draws.length + 1)
 * (Hermans et al., "A crisis in simulation-based inference? Beware, your posterior approximations can be
 * unfaithful", 2022).
 *
 * @param logDensity - log q(θ*|x); −∞ where the posterior excludes the truth.
 * @param logDensities - log q(θ_s|x) of draws from q(θ|x), not normalized just as well.
 * @throws ValueError for NaN and +∞, and without draws.
 * @example densityRank(-1.2, [-0.5, -3, -0.7]); // 2
 */
export function densityRank(logDensity: number, logDensities: ArrayLike<number>): number {
  const op = 'densityRank';
  requireLogDensity('logDensity', logDensity);
  if (!(logDensities?.length > 0)) {
    throw new ValueError(`${op}: there are no logDensities; expected those of draws.`);
  }
  let rank = 0;
  for (let s = 0; s < logDensities.length; s++) {
    requireLogDensity(`logDensities[${s}]`, logDensities[s]!);
    if (logDensities[s]! > logDensity) rank += 1;
  }
  return rank;
}

/**
 * Ranks of values among an odd number S of draws as ranks among (S − 1)/2: how far from the middle they are, 0 in
 * the innermost interval between draws. So their `coverageCurve` is that of central intervals, which end at draws.
 *
 * @param options - `draws`: S, odd.
 * @throws ValueError for a rank that is none, and an even number of draws, where the middle is a draw.
 * @example centralRanks([0, 3, 4, 7], { draws: 7 }); // { ranks: [3, 0, 0, 3], draws: 3 }
 */
export function centralRanks(
  ranks: ArrayLike<number>,
  options: { readonly draws: number },
): { readonly ranks: Uint32Array; readonly draws: number } {
  const op = 'centralRanks';
  requireOptions(op, options, ['draws']);
  const { draws } = options;
  requireOdd(op, draws);
  countsBelow(op, ranks, draws);
  const most = (draws - 1) / 2;
  return {
    ranks: Uint32Array.from(ranks, (rank) => most - Math.min(rank, draws - rank)),
    draws: most,
  };
}

function requireOdd(op: string, draws: number): void {
  requireWhole(op, 'draws', draws, 3);
  if (draws % 2 === 1) return;
  throw new ValueError(`${op}: draws is ${draws}; expected an odd number, such as ${draws - 1}.`);
}

function requireLogDensity(name: string, value: number): void {
  if (typeof value === 'number' && value < Number.POSITIVE_INFINITY) return;
  throw new ValueError(
    `densityRank: ${name} is ${formatValue(value)}; expected a number that is finite, or −∞.`,
  );
}
