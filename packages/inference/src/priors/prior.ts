/**
 * What is believed of parameters before an observation: a sampler, a density, and where parameters may lie. Priors are plain
 * functions on the host, in float64, as simulators are.
 *
 * Left out: the distributions, which `families.ts` makes, and parameters that are trained; those are flows.
 */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import type { Bijection } from '@invnet/layers';
import {
  formatShape,
  formatValue,
  InvNetError,
  RandomStream,
  requireFunction,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { bijectionTo, isInside, requireSupports, type Support, sizeOfSupports } from './support.ts';

/** A prior has no density, or no gradient of it, where one is needed. */
export class MissingDensityError extends InvNetError {
  override name = 'MissingDensityError';
}

/** What a prior is made of. */
export interface PriorParts {
  /** Where parameters may lie, block by block; the flow of a posterior has no mass elsewhere. */
  readonly support: readonly Support[];
  /** `count` rows of parameters, one after the other, each in the support. */
  readonly sample: (count: number, random: RandomStream) => Float64Array;
  /** log p(θ) of parameters in the support; its constant may be left out where nobody compares evidence. */
  readonly logDensity?: ((theta: Float64Array) => number) | undefined;
  /** ∂ log p/∂θ of parameters in the support. */
  readonly score?: ((theta: Float64Array) => Float64Array) | undefined;
}

/** What to draw from a prior. */
export interface PriorSampleOptions {
  readonly count: number;
  /** Or a stream that moves on. */
  readonly seed: number | RandomStream;
}

/**
 * A distribution of D parameters with a support that may be bounded. `uniformPrior`, `normalPrior` and others make one;
 * one of your own is made of a sampler and, where it has one, its density.
 *
 * @example
 * const prior = new Prior({
 *   support: [{ kind: 'ordered', size: 2 }], // θ₁ < θ₂
 *   sample: (count, random) => random.normalArray(2 * count).map((_, i, all) => …),
 *   logDensity: ([a, b]) => Math.log(2) - (a * a + b * b) / 2 - Math.log(2 * Math.PI),
 * });
 */
export class Prior {
  readonly support: readonly Support[];
  /** Number of parameters, D. */
  readonly size: number;
  readonly #parts: PriorParts;

  /** @throws ValueError for what is no support, or parts that are no functions. */
  constructor(parts: PriorParts) {
    requireOptions('Prior', parts, ['support', 'sample', 'logDensity', 'score']);
    const { support, sample, logDensity, score } = parts;
    this.support = requireSupports('Prior', support);
    this.size = sizeOfSupports(this.support);
    requireFunction('Prior', 'sample', sample);
    if (logDensity !== undefined) requireFunction('Prior', 'logDensity', logDensity);
    if (score !== undefined) requireFunction('Prior', 'score', score);
    this.#parts = parts;
  }

  /** Has it a density, and not a sampler alone? */
  get hasDensity(): boolean {
    return this.#parts.logDensity !== undefined;
  }

  /** Has its density a gradient? */
  get hasScore(): boolean {
    return this.#parts.score !== undefined;
  }

  /** A new map from ℝᴰ onto the support, [N, D] to [N, D], whose log-determinant changes densities between the two. */
  toSupport(): Bijection {
    return bijectionTo(this.support);
  }

  /**
   * Parameters, [count, D].
   *
   * @throws ValueError where the prior's own function gives another number of them, or such as are outside of its support.
   */
  sample(options: PriorSampleOptions): HostArray {
    requireOptions('Prior.sample', options, ['count', 'seed']);
    const { count, seed } = options;
    requireWhole('Prior.sample', 'count', count, 1, 2 ** 29);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    const data: unknown = this.#parts.sample(count, random);
    if (!(data instanceof Float64Array) || data.length !== count * this.size) {
      throw new ValueError(
        `Prior.sample: the prior's sample gave ${formatValue(data)}; expected a Float64Array of ${count * this.size} ` +
          `numbers, for ${count} rows of ${this.size}.`,
      );
    }
    const theta = { shape: [count, this.size], data };
    const outside = this.contains(theta).indexOf(false);
    if (outside < 0) return theta;
    throw new ValueError(
      `Prior.sample: the prior's sample gave ${this.#row(theta, outside).join(', ')}, outside of its support; expected ` +
        'parameters within it.',
    );
  }

  /**
   * log p(θ) of each row, −∞ outside of the support.
   *
   * @throws MissingDensityError where the prior has a sampler only. @throws ShapeError unless rows are [N, D].
   */
  logProb(theta: HostArray): Float64Array {
    const { logDensity } = this.#parts;
    if (!logDensity) throw missing('logProb', 'density', 'logDensity');
    const count = this.#count('logProb', theta);
    return Float64Array.from({ length: count }, (_, i) => {
      const row = this.#row(theta, i);
      if (!isInside(this.support, row)) return Number.NEGATIVE_INFINITY;
      const density: unknown = logDensity(row);
      if (typeof density === 'number' && !Number.isNaN(density)) return density;
      throw new ValueError(
        `Prior.logProb: the prior's logDensity gave ${formatValue(density)} for ${row.join(', ')}; expected a number.`,
      );
    });
  }

  /**
   * ∂ log p/∂θ of each row, [N, D].
   *
   * @throws MissingDensityError where the prior has no gradient. @throws ValueError for rows outside of the support.
   */
  score(theta: HostArray): HostArray {
    const { score } = this.#parts;
    if (!score) throw missing('score', 'gradient of its density', 'score');
    const count = this.#count('score', theta);
    const data = new Float64Array(count * this.size);
    for (let i = 0; i < count; i++) {
      const row = this.#row(theta, i);
      const gradient: unknown = isInside(this.support, row) ? score(row) : 'nothing';
      if (!(gradient instanceof Float64Array) || gradient.length !== this.size) {
        throw new ValueError(
          `Prior.score: the gradient at ${row.join(', ')} is ${formatValue(gradient)}; expected parameters in the support, ` +
            `and a Float64Array of ${this.size} numbers there.`,
        );
      }
      data.set(gradient, i * this.size);
    }
    return { shape: [count, this.size], data };
  }

  /** Does each row lie in the support, its bounds included? @throws ShapeError unless rows are [N, D]. */
  contains(theta: HostArray): boolean[] {
    const count = this.#count('contains', theta);
    return Array.from({ length: count }, (_, i) => isInside(this.support, this.#row(theta, i)));
  }

  #count(method: string, theta: HostArray): number {
    const { shape } = requireHostArray(`Prior.${method}`, 'theta', theta);
    if (shape.length === 2 && shape[1] === this.size) return shape[0]!;
    throw new ShapeError(
      `Prior.${method}: theta is ${formatShape(shape)}; expected [N, ${this.size}].`,
    );
  }

  #row({ data }: HostArray, i: number): Float64Array {
    return Float64Array.from(data.subarray(i * this.size, (i + 1) * this.size));
  }
}

function missing(method: string, what: string, part: string): MissingDensityError {
  return new MissingDensityError(
    `Prior.${method}: this prior has no ${what}; expected one that was made with ${part}. Posteriors that are learned from ` +
      'samples do without; likelihoods and importance weights need it.',
  );
}

/** The prior itself. @throws ValueError unless it is one. */
export function requirePrior(op: string, prior: Prior): Prior {
  if (prior instanceof Prior) return prior;
  throw new ValueError(
    `${op}: prior is ${formatValue(prior)}; expected a prior, such as uniformPrior({ low: [0], high: [1] }).`,
  );
}
