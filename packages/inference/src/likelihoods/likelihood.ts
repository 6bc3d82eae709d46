/**
 * What observations parameters make: a flow of observations given parameters, whose product over independent observations and
 * with any prior is a posterior, that chains sample. It is a module, so that all of it goes into one file.
 *
 * Left out: how it is learned (`neural-likelihood.ts`).
 */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import { type ChainDiagnostics, Flow, hamiltonianMonteCarlo } from '@invnet/flows';
import { Module, requireModuleOptions } from '@invnet/layers';
import {
  add,
  formatShape,
  formatValue,
  mul,
  RandomStream,
  requireOptions,
  requireWhole,
  ShapeError,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type Observations, requireObservations } from '../posteriors/observations.ts';
import { densitiesInside } from '../priors/densities.ts';
import { freeParameters } from '../priors/free-parameters.ts';
import { MissingDensityError, type Prior, requirePrior } from '../priors/prior.ts';
import {
  bijectionTo,
  clampInto,
  requireSupports,
  type Support,
  sizeOfSupports,
} from '../priors/support.ts';
import { columnMoments } from '../summaries/moments.ts';
import { likelihoodEnergy } from './likelihood-energy.ts';

/** What a likelihood is made of. */
export interface LikelihoodParts {
  /** Of observations, given parameters before the map onto the support. */
  readonly flow: Flow;
  /** Of the parameters. */
  readonly support: readonly Support[];
  /** Numbers of an observation. */
  readonly features: number;
}

/** Where to evaluate a likelihood. */
export interface LikelihoodDensityOptions {
  /** One observation, or several that are independent given the parameters. */
  readonly x: Observations;
  /** [N, D] */
  readonly theta: HostArray;
}

/** Of which posterior to sample, and how. */
export interface LikelihoodSampleOptions {
  /** One observation, or several that are independent given the parameters. */
  readonly x: Observations;
  /** It may be another than that of the simulations, of the same support, and has a density and its gradient. */
  readonly prior: Prior;
  readonly count: number;
  readonly seed: number | RandomStream;
  /** Chains side by side. Default: 16. */
  readonly chains?: number;
  /** Draws of each chain before those that are kept. Default: 100. */
  readonly warmup?: number;
}

/** Samples, and whether the chains agree. */
export interface LikelihoodSamples extends HostArray, ChainDiagnostics {
  /** Share of proposals that were accepted. */
  readonly acceptance: number;
  /** Proposals whose energy was not finite, or rose too much. */
  readonly divergences: number;
}

/** Draws of the prior of which chains start at the likeliest, for each chain. */
const candidates = 500;
/** Densities at once. */
const rowsAtOnce = 4096;

/**
 * q(x | θ). `neuralLikelihood` makes it, and `saveModel` and `loadModel` of `@invnet/train` put it into a file and back, with
 * `inferenceCatalogue`.
 *
 * @example
 * await likelihood.logProb({ x: [0.1, -0.2], theta }); // [N]
 * const { shape, data, rHat } = await likelihood.sample({ prior, x: manyObservations, count: 1000, seed: 1 });
 */
export class Likelihood extends Module {
  static readonly type: string = 'Likelihood';
  readonly flow: Flow;
  readonly support: readonly Support[];
  readonly features: number;
  /** Number of parameters, D. */
  readonly size: number;

  constructor(parts: LikelihoodParts) {
    super();
    requireModuleOptions('Likelihood', parts, ['flow', 'support', 'features']);
    const { flow, support, features } = parts;
    if (!(flow instanceof Flow)) {
      throw new ValueError(`Likelihood: flow is ${formatValue(flow)}; expected a Flow.`);
    }
    requireWhole('Likelihood', 'features', features, 1);
    this.flow = flow;
    this.support = requireSupports('Likelihood', support);
    this.features = features;
    this.size = sizeOfSupports(this.support);
  }

  get options() {
    const { flow, support, features } = this;
    return { flow, support, features };
  }

  /**
   * log q(x | θ) of each row of parameters, summed over the observations; −∞ outside of the support.
   *
   * @throws ShapeError for parameters or observations of another shape.
   */
  async logProb(options: LikelihoodDensityOptions): Promise<Float64Array> {
    const op = 'Likelihood.logProb';
    requireOptions(op, options, ['x', 'theta']);
    const { x } = requireObservations(op, options.x, [this.features]);
    const theta = requireHostArray(op, 'theta', options.theta);
    const { shape } = theta;
    if (shape.length !== 2 || shape[1] !== this.size) {
      throw new ShapeError(`${op}: theta is ${formatShape(shape)}; expected [N, ${this.size}].`);
    }
    const toSupport = bijectionTo(this.support);
    return densitiesInside(this.support, theta, rowsAtOnce, async (rows, { length }) => {
      using free = tidy(() => toSupport.inverse(rows).x);
      const sums = new Float64Array(length);
      for (let k = 0; k < x.shape[0]!; k++) {
        const own = x.data.subarray(k * this.features, (k + 1) * this.features);
        using densities = tidy(() => {
          const all = add(
            tensor(own, [1, own.length]),
            tensor(new Float64Array(length), [length, 1]),
          );
          return this.flow.logProb(all, free);
        });
        for (const [n, density] of (await densities.data()).entries()) sums[n]! += density;
      }
      return sums;
    });
  }

  /**
   * Samples of p(θ | x) ∝ p(θ)·Π q(x_k | θ), [count, D], by Hamiltonian Monte Carlo where the flow of parameters is free of
   * bounds. Chains start at the likeliest of many draws of the prior; a first run finds the scale of each
   * parameter. `rHat` above 1.01 says that chains do not agree.
   *
   * @throws MissingDensityError for a prior without density, or without its gradient.
   * @throws BackendError where the backend does not read at once, as on a GPU.
   */
  async sample(options: LikelihoodSampleOptions): Promise<LikelihoodSamples> {
    const op = 'Likelihood.sample';
    requireOptions(op, options, ['x', 'prior', 'count', 'seed', 'chains', 'warmup']);
    const { count, seed, chains = 16, warmup = 100 } = options;
    const prior = this.#checked(op, options.prior);
    requireWhole(op, 'count', count, 1, 2 ** 24);
    requireWhole(op, 'chains', chains, 1, 2 ** 12);
    requireWhole(op, 'warmup', warmup, 1, 2 ** 20);
    const { x } = requireObservations(op, options.x, [this.features]);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    const start = await freeParameters(prior, await this.#starts(prior, x, chains, random));
    const wide = columnMoments(
      (await freeParameters(prior, prior.sample({ count: 1000, seed: random }))).data,
      this.size,
    );
    const first = await this.#chains(prior, x, start, { ...wide, draws: warmup, warmup, random });
    const last = { shape: [chains, this.size], data: first.data.slice(-chains * this.size) };
    const scale = columnMoments(first.data, this.size);
    const draws = Math.max(4, Math.ceil(count / chains));
    const { data, ...rest } = await this.#chains(prior, x, last, {
      ...scale,
      draws,
      warmup,
      random,
    });
    using free = tensor(data.subarray(0, count * this.size), [count, this.size]);
    using theta = tidy(() => bijectionTo(this.support).forward(free).y);
    const samples = Float64Array.from(await theta.data());
    clampInto(this.support, samples);
    return { shape: [count, this.size], data: samples, ...rest };
  }

  #checked(op: string, prior: Prior): Prior {
    const own = requirePrior(op, prior);
    if (JSON.stringify(own.support) !== JSON.stringify(this.support)) {
      throw new ValueError(
        `${op}: prior has the support ${JSON.stringify(own.support)}; expected that of the simulations, ` +
          `${JSON.stringify(this.support)}.`,
      );
    }
    if (own.hasDensity && own.hasScore) return own;
    throw new MissingDensityError(
      `${op}: prior has no ${own.hasDensity ? 'gradient of its density (score)' : 'density (logDensity)'}; expected both, ` +
        'for chains follow them.',
    );
  }

  /** One of many draws of the prior for each chain, by their likelihoods. */
  async #starts(
    prior: Prior,
    x: HostArray,
    chains: number,
    random: RandomStream,
  ): Promise<HostArray> {
    const theta = prior.sample({ count: candidates * chains, seed: random });
    const densities = await this.logProb({ x, theta });
    const data = new Float64Array(chains * this.size);
    for (let chain = 0; chain < chains; chain++) {
      const own = densities.subarray(chain * candidates, (chain + 1) * candidates);
      // The largest of densities with Gumbel noise is a draw by their weights.
      const noisy = random
        .uniformArray(candidates)
        .map((u, i) => own[i]! - Math.log(-Math.log(u || 2 ** -25)));
      const best =
        chain * candidates + noisy.reduce((top, value, i) => (value > noisy[top]! ? i : top), 0);
      data.set(theta.data.subarray(best * this.size, (best + 1) * this.size), chain * this.size);
    }
    return { shape: [chains, this.size], data };
  }

  /** Draws of free parameters, by chains that see them standardized. */
  async #chains(
    prior: Prior,
    x: HostArray,
    start: HostArray,
    how: {
      mean: Float64Array;
      deviation: Float64Array;
      draws: number;
      warmup: number;
      random: RandomStream;
    },
  ) {
    const { draws, warmup, random } = how;
    const row = (values: Float64Array) => tensor(values, [1, this.size]);
    using mean = row(how.mean);
    using deviation = row(how.deviation);
    using observed = tensor(x.data, x.shape);
    const z = start.data.map(
      (u, i) => (u - how.mean[i % this.size]!) / how.deviation[i % this.size]!,
    );
    using first: Tensor = tensor(z, start.shape);
    const toSupport = bijectionTo(this.support);
    const energy = likelihoodEnergy({
      flow: this.flow,
      prior,
      toSupport,
      x: observed,
      mean,
      deviation,
    });
    const found = await hamiltonianMonteCarlo(energy, {
      start: first,
      samples: Math.max(4, draws),
      warmup,
      seed: random,
    });
    using samples = found.samples;
    using free = tidy(() => add(mul(samples.reshape([-1, this.size]), deviation), mean));
    const { rHat, effectiveSampleSize, acceptance, divergences } = found;
    return {
      data: Float64Array.from(await free.data()),
      rHat,
      effectiveSampleSize,
      acceptance,
      divergences,
    };
  }
}
