/**
 * Importance sampling with a flow: how well it fits an energy, and the normalizing constant.
 * Mathematics: docs/math/flows/objectives.md
 */
import { outsideSteps } from '@invnet/layers';
import {
  formatValue,
  neg,
  type RandomStream,
  requireOptions,
  type Shape,
  sub,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type Flow, requireFlow } from '../flow.ts';
import { draw } from './draws.ts';
import { type Energy, energyAt, NonFiniteEnergyError, requireEnergy } from './energy.ts';

/** What to draw. */
export interface ImportanceOptions {
  /** Shape of the samples, batch first. */
  readonly shape: Shape;
  /** Seed of the latent variables; or a stream that moves on. */
  readonly seed: number | RandomStream;
  /** What the network and the base take as their context, for each of the samples or one for all. */
  readonly context?: Tensor;
}

/** Samples with the logarithms of their weights. */
export interface ImportanceSample {
  /** Samples of the flow, which the caller owns. */
  readonly x: Tensor;
  /** log w = −U(x) − log q(x) of each, so that mean w is Z; −∞ where U is +∞. The caller owns it. */
  readonly logWeights: Tensor;
}

/**
 * Samples of the flow with their weights w = e^(−U(x))/q(x) for an energy, of which `weightStatistics` takes the
 * effective number and Z. Means with these weights are those under e^(−U)/Z, whatever the flow, as far as it covers it.
 *
 * @throws ShapeError, ValueError for wrong arguments, and for what an energy gave.
 * @example
 * const { x, logWeights } = importanceSample(flow, energy, { shape: [10_000, 2], seed: 1 });
 * const { effectiveSampleSize, logZ, logZError } = weightStatistics(await logWeights.data());
 */
export function importanceSample(
  flow: Flow,
  energy: Energy,
  options: ImportanceOptions,
): ImportanceSample {
  requireFlow('importanceSample', flow);
  requireEnergy('importanceSample', energy);
  requireOptions('importanceSample', options, ['shape', 'seed', 'context']);
  return outsideSteps(() =>
    tidy(() => {
      const { x, logProb } = draw('importanceSample', flow, options);
      const value = energyAt('importanceSample', energy, x);
      return { x, logWeights: sub(neg(value), logProb) };
    }),
  );
}

/** What weights say. */
export interface WeightStatistics {
  /** The weights over their sum. */
  readonly weights: Float64Array<ArrayBuffer>;
  /** (Σ w)²/Σ w² (Kish, "Survey sampling", 1965): N for equal weights, 1 where one has all. */
  readonly effectiveSampleSize: number;
  /** log of the mean weight: of the normalizing constant. */
  readonly logZ: number;
  /** Standard error of logZ, to first order: deviation of the weights over their mean and √N. */
  readonly logZError: number;
}

/**
 * Weights, their effective number and log Z, from logarithms of weights of any size; those of several calls of
 * `importanceSample` may stand one after the other.
 *
 * The statistics know of what was sampled only: of a mode that the flow leaves out, nothing.
 *
 * @throws NonFiniteEnergyError for NaN or +∞. @throws ValueError for fewer than 2, or where all are −∞.
 * @example const { effectiveSampleSize } = weightStatistics(await logWeights.data());
 */
export function weightStatistics(logWeights: ArrayLike<number>): WeightStatistics {
  const n = requireNumbers(logWeights);
  const logs = Float64Array.from(logWeights);
  const bad = logs.filter((l) => !(l < Number.POSITIVE_INFINITY)).length;
  if (bad > 0) {
    throw new NonFiniteEnergyError('weightStatistics', bad, n, 'numbers, or +∞ where x cannot be');
  }
  const largest = logs.reduce((a, b) => Math.max(a, b));
  if (largest === Number.NEGATIVE_INFINITY) {
    throw new ValueError(
      'weightStatistics: all weights are 0; expected samples where U is finite.',
    );
  }
  const weights = logs.map((l) => Math.exp(l - largest));
  const total = weights.reduce((a, b) => a + b);
  const squares = weights.reduce((sum, w) => sum + (w / total) ** 2, 0);
  return {
    weights: weights.map((w) => w / total),
    effectiveSampleSize: 1 / squares,
    logZ: largest + Math.log(total / n),
    logZError: Math.sqrt(Math.max(0, (squares - 1 / n) * (n / (n - 1)))),
  };
}

function requireNumbers(logWeights: ArrayLike<number>): number {
  const numbers = ArrayBuffer.isView(logWeights) || Array.isArray(logWeights);
  if (numbers && logWeights.length > 1 && typeof logWeights[0] === 'number')
    return logWeights.length;
  throw new ValueError(
    `weightStatistics: got ${formatValue(logWeights)}; expected at least 2 numbers, such as await logWeights.data().`,
  );
}
