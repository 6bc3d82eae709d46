/**
 * What the tasks of the benchmark have in common: checks around formulas of one row. All is on the host, in float64, and
 * draws from a stream, so that a seed gives the same numbers on any machine.
 *
 * Left out: how well an estimator does, which is the part of diagnostics.
 */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import {
  formatShape,
  formatValue,
  RandomStream,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import type { Prior } from '../priors/prior.ts';

/** What was observed, and the parameters that it was simulated from. */
export interface TaskObservation {
  readonly x: readonly number[];
  readonly theta: readonly number[];
}

/** The formulas of a task. */
export interface TaskParts {
  readonly name: string;
  /** Numbers of an observation. */
  readonly dataSize: number;
  readonly prior: Prior;
  readonly observations: readonly TaskObservation[];
  /** Writes an observation for parameters θ into x. */
  readonly simulateRow: (theta: Float64Array, random: RandomStream, x: Float64Array) => void;
  /** log p(x | θ) as a function of θ. */
  readonly likelihoodOf: (x: Float64Array) => (theta: Float64Array) => number;
  /** A proposal for the posterior of x, written into θ: was it accepted? Left out where nothing exact is known. */
  readonly proposalOf?: (x: Float64Array) => (random: RandomStream, theta: Float64Array) => boolean;
}

/** Proposals in a row that may be rejected: far more than any published observation needs. */
const patience = 1e6;

/**
 * A task of the benchmark of Lueckmann et al. ("Benchmarking simulation-based inference", 2021): a prior, a simulator, its
 * likelihood, and the ten published observations.
 */
export class BenchmarkTask {
  readonly name: string;
  /** Numbers of an observation. */
  readonly dataSize: number;
  readonly prior: Prior;
  /** The ten observations of the benchmark, with the parameters that they are of. */
  readonly observations: readonly TaskObservation[];
  readonly #parts: TaskParts;

  /** Made by `benchmarkTask`. */
  constructor(parts: TaskParts) {
    requireOptions('BenchmarkTask', parts, [
      ...['name', 'dataSize', 'prior', 'observations', 'simulateRow', 'likelihoodOf'],
      'proposalOf',
    ]);
    const { name, dataSize, prior, observations } = parts;
    this.name = name;
    this.dataSize = dataSize;
    this.prior = prior;
    this.observations = observations;
    this.#parts = parts;
  }

  /** Is there an exact sampler of the posterior, `reference`? */
  get hasReference(): boolean {
    return this.#parts.proposalOf !== undefined;
  }

  /**
   * An observation for each row of parameters: [N, D] to [N, `dataSize`].
   *
   * @param options - The seed, or a stream that moves on.
   * @throws ShapeError @throws ValueError for parameters that are not finite.
   */
  simulate(theta: HostArray, options: { readonly seed: number | RandomStream }): HostArray {
    const op = `${this.name}.simulate`;
    requireOptions(op, options, ['seed']);
    const random = streamOf(options.seed);
    const rows = this.#rows(op, theta);
    const data = new Float64Array(rows.length * this.dataSize);
    rows.forEach((row, i) => {
      const from = i * this.dataSize;
      this.#parts.simulateRow(row, random, data.subarray(from, from + this.dataSize));
    });
    return { shape: [rows.length, this.dataSize], data };
  }

  /**
   * log p(x | θ) for each row of parameters [N, D], up to what depends on x alone where the task says so.
   *
   * @throws ShapeError @throws ValueError for numbers that are not finite.
   */
  logLikelihood(theta: HostArray, x: ArrayLike<number>): Float64Array {
    const op = `${this.name}.logLikelihood`;
    const likelihood = this.#parts.likelihoodOf(this.#observation(op, x));
    return Float64Array.from(this.#rows(op, theta), likelihood);
  }

  /**
   * Exact and independent samples of the posterior, [count, D].
   *
   * @throws ValueError where the task has no such sampler, or the observation is one that no parameters lead to.
   */
  reference(
    x: ArrayLike<number>,
    options: { readonly count: number; readonly seed: number | RandomStream },
  ): HostArray {
    const op = `${this.name}.reference`;
    requireOptions(op, options, ['count', 'seed']);
    const { count, seed } = options;
    requireWhole(op, 'count', count, 1, 1e6);
    const random = streamOf(seed);
    const observation = this.#observation(op, x);
    const { proposalOf } = this.#parts;
    if (!proposalOf) {
      throw new ValueError(
        `${op}: there is no exact sampler; read the samples of the Python package sbibm.`,
      );
    }
    const propose = proposalOf(observation);
    const { size } = this.prior;
    const data = new Float64Array(count * size);
    for (let i = 0; i < count; i++) {
      const theta = data.subarray(i * size, (i + 1) * size);
      let rejected = 0;
      while (!propose(random, theta)) {
        if (++rejected < patience) continue;
        throw new ValueError(
          `${op}: ${patience} proposals in a row were rejected; expected an observation that parameters within ` +
            'the prior may lead to.',
        );
      }
    }
    return { shape: [count, size], data };
  }

  #rows(op: string, theta: HostArray): Float64Array[] {
    const { shape, data } = requireHostArray(op, 'theta', theta);
    const { size } = this.prior;
    if (shape.length !== 2 || shape[1] !== size) {
      throw new ShapeError(`${op}: theta is ${formatShape(shape)}; expected [N, ${size}].`);
    }
    return Array.from({ length: shape[0]! }, (_, i) => {
      const row = Float64Array.from(data.subarray(i * size, (i + 1) * size));
      if (row.every(Number.isFinite)) return row;
      throw new ValueError(
        `${op}: row ${i} of theta is ${row.join(', ')}; expected finite numbers.`,
      );
    });
  }

  #observation(op: string, x: ArrayLike<number>): Float64Array {
    if (typeof x !== 'object' || x === null || x.length !== this.dataSize) {
      throw new ShapeError(`${op}: x is ${formatValue(x)}; expected ${this.dataSize} numbers.`);
    }
    const values = Float64Array.from(x);
    if (values.every(Number.isFinite)) return values;
    throw new ValueError(`${op}: x is ${values.join(', ')}; expected finite numbers.`);
  }
}

function streamOf(seed: number | RandomStream): RandomStream {
  return seed instanceof RandomStream ? seed : new RandomStream(seed);
}
