/**
 * The prior, cut down to where a posterior has its mass: the region of highest density that holds all but a small share of it.
 * Mathematics: docs/math/inference/truncated-posterior.md
 */
import type { HostArray } from '@invnet/datasets';
import type { RandomStream } from '@invnet/tensor';
import { MissingDensityError, type Prior } from '../priors/prior.ts';
import type { Observations } from './observations.ts';
import type { Posterior } from './posterior.ts';

/** Which region. */
export interface Truncation {
  readonly x: Observations;
  /** The share of the posterior that is left out. */
  readonly mass: number;
  readonly random: RandomStream;
}

/** Parameters from the prior within a region, and which share of the prior that is, as far as draws of it tell. */
export interface TruncatedDraws {
  readonly theta: HostArray;
  readonly acceptance: number;
}

/** Samples that the density at the region's edge is a quantile of. */
const edgeSamples = 10_000;
/** Draws of the prior at once. */
const drawsAtOnce = 10_000;
/** Below this share, draws of the posterior are weighted instead. */
const leastAcceptance = 1e-3;
/** Draws of the posterior of which one is chosen. */
const candidates = 256;

/**
 * `count` parameters from the prior whose posterior density is above that of its region's edge: by refusing draws of the
 * prior, and where hardly any would stay, by choosing among draws of the posterior, by their weights.
 *
 * @throws MissingDensityError where weights are needed, and the prior has no density.
 */
export async function drawTruncated(
  prior: Prior,
  posterior: Pick<Posterior, 'sample' | 'logProb'>,
  count: number,
  truncation: Truncation,
): Promise<TruncatedDraws> {
  const { x, mass, random } = truncation;
  const samples = await posterior.sample({ x, count: edgeSamples, seed: random });
  const densities = (await posterior.logProb({ x, theta: samples })).sort();
  const edge = densities[Math.floor(mass * edgeSamples)]!;
  const theta = new Float64Array(count * prior.size);
  let accepted = 0;
  for (;;) {
    const draws = prior.sample({ count: drawsAtOnce, seed: random });
    const found = await posterior.logProb({ x, theta: draws });
    const inside = [...found.keys()].filter((i) => found[i]! >= edge);
    for (const i of inside.slice(0, count - accepted)) {
      theta.set(draws.data.subarray(i * prior.size, (i + 1) * prior.size), accepted * prior.size);
      accepted += 1;
    }
    const acceptance = inside.length / drawsAtOnce;
    if (accepted < count && acceptance >= leastAcceptance) continue;
    const rest = await choose(prior, posterior, count - accepted, edge, truncation);
    theta.set(rest, accepted * prior.size);
    return { theta: { shape: [count, prior.size], data: theta }, acceptance };
  }
}

/** Parameters from the prior in the region, by sampling importance resampling: one of several draws each, by p(θ)/q(θ | x). */
async function choose(
  prior: Prior,
  posterior: Pick<Posterior, 'sample' | 'logProb'>,
  count: number,
  edge: number,
  { x, random }: Truncation,
): Promise<Float64Array> {
  if (count === 0) return new Float64Array(0);
  if (!prior.hasDensity) {
    throw new MissingDensityError(
      'truncatedPosterior: hardly any draw of the prior is where the posterior is, and the prior has no density to weigh ' +
        'draws of the posterior by; expected one that was made with logDensity, or fewer rounds.',
    );
  }
  const chosen = new Float64Array(count * prior.size);
  const atOnce = Math.max(1, Math.floor(drawsAtOnce / candidates));
  for (let from = 0; from < count; from += atOnce) {
    const rows = Math.min(atOnce, count - from);
    const draws = await posterior.sample({ x, count: rows * candidates, seed: random });
    const own = await posterior.logProb({ x, theta: draws });
    const weights = prior
      .logProb(draws)
      .map((p, i) => (own[i]! < edge ? Number.NEGATIVE_INFINITY : p - own[i]!));
    for (let n = 0; n < rows; n++) {
      const i =
        n * candidates + drawIndex(weights.subarray(n * candidates, (n + 1) * candidates), random);
      chosen.set(
        draws.data.subarray(i * prior.size, (i + 1) * prior.size),
        (from + n) * prior.size,
      );
    }
  }
  return chosen;
}

/** An index by its log-weight. */
function drawIndex(logWeights: Float64Array, random: RandomStream): number {
  const top = Math.max(...logWeights);
  const weights = logWeights.map((w) => Math.exp(w - top));
  let rest = random.uniformArray(1)[0]! * weights.reduce((sum, w) => sum + w, 0);
  const found = weights.findIndex((w) => {
    rest -= w;
    return rest < 0;
  });
  return Math.max(0, found);
}
