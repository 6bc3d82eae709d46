/**
 * What is believed of parameters after an observation: a flow given a summary of it, which lives before the map onto the
 * prior's support. It is a module, so that all of it goes into one file.
 *
 * Left out: how it is learned (`neural-posterior.ts`).
 */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import {
  type Conditioner,
  evaluate,
  Module,
  requireConditioner,
  requireModuleOptions,
} from '@invnet/layers';
import {
  formatShape,
  formatValue,
  InvNetError,
  RandomStream,
  requireFunction,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { densitiesInside } from '../priors/densities.ts';
import {
  bijectionTo,
  clampInto,
  requireSupports,
  type Support,
  sizeOfSupports,
} from '../priors/support.ts';
import { type MapOptions, type Maximum, maximize } from './maximum.ts';
import { type ObservationBatch, type Observations, requireObservations } from './observations.ts';
import { Summaries } from './summaries.ts';
import { type Typicality, TypicalObservations } from './typical-observations.ts';

/** What a posterior is made of. */
export interface PosteriorParts {
  /** Of parameters in the support, given the summary. */
  readonly flow: Flow;
  /** Of observations. */
  readonly summary: Conditioner;
  readonly support: readonly Support[];
  /** The shape of one observation; null along an axis of any size. */
  readonly observation: readonly (number | null)[];
  /** What observations looked like. */
  readonly typical: TypicalObservations;
}

/** An observation unlike those that a posterior was learned from. */
export interface UnusualObservation extends Typicality {
  /** Which of several, from 0. */
  readonly index: number;
  readonly message: string;
}

/** What is said of observations that are unusual. */
export interface WatchOptions {
  /** Called with each observation that is unlike those of the training. */
  readonly onWarning?: ((warning: UnusualObservation) => void) | undefined;
}

/** What to draw from a posterior. */
export interface PosteriorSampleOptions extends WatchOptions {
  readonly x: Observations;
  /** Samples for each observation. */
  readonly count: number;
  /** Or a stream that moves on. */
  readonly seed: number | RandomStream;
  /** Samples that are computed at once, which bounds the memory. Default: 4096. */
  readonly batchSize?: number;
}

/** Where to evaluate a posterior. */
export interface PosteriorDensityOptions {
  readonly x: Observations;
  /** Parameters [N, D]; of several observations, [K, N, D]. */
  readonly theta: HostArray;
  /** Densities that are computed at once, which bounds the memory. Default: 4096. */
  readonly batchSize?: number;
}

const defaultBatchSize = 4096;

/**
 * p(θ | x) for any observation x (amortized), with no mass outside of the prior's support. `neuralPosterior` makes it,
 * `saveModel` and `loadModel` of `@invnet/train` put it into a file and back, with `inferenceCatalogue`.
 *
 * @example
 * const samples = await posterior.sample({ x: [0.1, -0.2], count: 1000, seed: 1 }); // [1000, D]
 * const several = await posterior.sample({ x: { shape: [50, 2], data }, count: 100, seed: 1 }); // [50, 100, D]
 * await posterior.logProb({ x: [0.1, -0.2], theta: samples });
 * const { theta } = await posterior.map({ x: [0.1, -0.2], seed: 2 });
 */
export class Posterior extends Module {
  static readonly type: string = 'Posterior';
  readonly flow: Flow;
  readonly summary: Conditioner;
  readonly typical: TypicalObservations;
  /** Number of parameters, D. */
  readonly size: number;
  readonly support: readonly Support[];
  readonly observation: readonly (number | null)[];

  constructor(parts: PosteriorParts) {
    super();
    requireModuleOptions('Posterior', parts, [
      ...['flow', 'summary', 'support', 'observation', 'typical'],
    ]);
    const { flow, summary, support, observation, typical } = parts;
    if (!(flow instanceof Flow)) {
      throw new ValueError(`Posterior: flow is ${formatValue(flow)}; expected a Flow.`);
    }
    if (!(typical instanceof TypicalObservations)) {
      throw new ValueError(
        `Posterior: typical is ${formatValue(typical)}; expected TypicalObservations.`,
      );
    }
    this.flow = flow;
    this.summary = requireConditioner('Posterior', 'summary', summary);
    this.typical = typical;
    this.support = requireSupports('Posterior', support);
    this.size = sizeOfSupports(this.support);
    requireList('Posterior', 'observation', observation, 'a list of sizes, null where any will do');
    for (const size of observation) if (size !== null) requireWhole('Posterior', 'a size', size, 1);
    this.observation = [...observation];
  }

  get options() {
    const { flow, summary, support, observation, typical } = this;
    return { flow, summary, support, observation, typical };
  }

  /**
   * Parameters, [count, D]; for several observations, [K, count, D]. Equal seeds give equal samples, whatever `batchSize`.
   *
   * @throws ShapeError for observations of another shape. @throws ValueError for numbers that are not finite.
   */
  async sample(options: PosteriorSampleOptions): Promise<HostArray> {
    const op = 'Posterior.sample';
    requireOptions(op, options, ['x', 'count', 'seed', 'batchSize', 'onWarning']);
    const { count, seed, batchSize = defaultBatchSize, onWarning } = options;
    requireWhole(op, 'count', count, 1, 2 ** 29);
    requireWhole(op, 'batchSize', batchSize, 1);
    const observations = requireObservations(op, options.x, this.observation);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    // Streams give whole blocks of four numbers: so these are the same whatever the size.
    const rowsAtOnce = 4 * Math.ceil(batchSize / 4);
    const summaries = await this.#summaries(op, observations, onWarning);
    const total = summaries.count * count;
    const data = new Float64Array(total * this.size);
    for (let from = 0; from < total; from += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, total - from);
      using samples = tidy(() =>
        this.flow.sample({
          shape: [rows, this.size],
          seed: random,
          context: summaries.rows(from, rows, count),
        }),
      );
      data.set(await samples.data(), from * this.size);
    }
    requireNumbers(op, 'sample', data, this.size);
    clampInto(this.support, data);
    const shape = [count, this.size];
    return { shape: observations.single ? shape : [summaries.count, ...shape], data };
  }

  /**
   * log p(θ | x) of each row, −∞ outside of the support: [N] numbers, or for several observations [K, N], row by row.
   *
   * @throws ShapeError for parameters or observations of another shape. @throws InvNetError where the network overflows.
   */
  async logProb(options: PosteriorDensityOptions): Promise<Float64Array> {
    const op = 'Posterior.logProb';
    requireOptions(op, options, ['x', 'theta', 'batchSize']);
    const { batchSize = defaultBatchSize } = options;
    requireWhole(op, 'batchSize', batchSize, 1);
    const observations = requireObservations(op, options.x, this.observation);
    const theta = requireHostArray(op, 'theta', options.theta);
    const { shape, data } = theta;
    const several = observations.x.shape[0]!;
    const expected = observations.single ? [shape[0]!, this.size] : [several, shape[1]!, this.size];
    if (formatShape(shape) !== formatShape(expected)) {
      throw new ShapeError(
        `${op}: theta is ${formatShape(shape)}; expected ${
          observations.single ? `[N, ${this.size}]` : `[${several}, N, ${this.size}]`
        }.`,
      );
    }
    const summaries = await this.#summaries(op, observations, undefined);
    const each = data.length / this.size / summaries.count;
    const logProb = await densitiesInside(this.support, theta, batchSize, async (rows, at) => {
      using densities = tidy(() => this.flow.logProb(rows, summaries.at(at, each)));
      return await densities.data();
    });
    requireNumbers(op, 'the density of row', logProb, 1);
    return logProb;
  }

  /**
   * The parameters of the highest density, by gradient from several samples, for one observation or each of several: Adam in
   * the space where the flow lives, so that no step leaves the support.
   */
  async map(options: MapOptions & WatchOptions): Promise<Maximum> {
    const op = 'Posterior.map';
    requireOptions(op, options, ['x', 'seed', 'starts', 'steps', 'onWarning']);
    const { x, onWarning, ...how } = options;
    const observations = requireObservations(op, x, this.observation);
    const summaries = await this.#summaries(op, observations, onWarning);
    const { seed, starts = 16, steps = 200 } = how;
    requireWhole(op, 'starts', starts, 1, 2 ** 16);
    requireWhole(op, 'steps', steps, 1, 2 ** 20);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    const toSupport = bijectionTo(this.support);
    const found = [];
    for (let k = 0; k < summaries.count; k++) {
      const own = oneOf(observations, k);
      const samples = await this.sample({ x: own, count: 100 * starts, seed: random });
      const densities = await this.logProb({ x: own, theta: samples });
      const best = [...densities.keys()].sort((a, b) => densities[b]! - densities[a]!);
      using context = summaries.one(k);
      const from = best.slice(0, starts);
      found.push(
        await maximize({ flow: this.flow, toSupport, context, samples, starts: from, steps }),
      );
    }
    const data = Float64Array.from(found.flatMap(({ theta }) => [...theta]));
    clampInto(this.support, data);
    return {
      theta: { shape: observations.single ? [this.size] : [found.length, this.size], data },
      logProb: Float64Array.from(found, ({ logProb }) => logProb),
    };
  }

  /** How far observations are from those that the posterior was learned from. */
  async typicality(options: { readonly x: Observations }): Promise<Typicality[]> {
    requireOptions('Posterior.typicality', options, ['x']);
    const { x } = requireObservations('Posterior.typicality', options.x, this.observation);
    return this.typical.of((await this.#summarize(x)).data);
  }

  /** Summaries of observations, on the host; tells who wants to know which are unusual. */
  async #summaries(
    op: string,
    { x }: ObservationBatch,
    onWarning: WatchOptions['onWarning'],
  ): Promise<Summaries> {
    if (onWarning !== undefined) requireFunction(op, 'onWarning', onWarning);
    const summaries = await this.#summarize(x);
    if (onWarning) {
      for (const [index, typicality] of (await this.typical.of(summaries.data)).entries()) {
        if (!typicality.unusual) continue;
        const { distance, limit } = typicality;
        const message =
          `observation ${index} is at a distance of ${distance.toPrecision(3)} from those of the training, of which 99.9% ` +
          `are within ${limit.toPrecision(3)}: what the posterior says of it is extrapolated.`;
        onWarning({ index, message, ...typicality });
      }
    }
    return new Summaries(summaries);
  }

  /** [K, features] */
  async #summarize(x: HostArray): Promise<HostArray> {
    using summaries = tidy(() => evaluate(this.summary, tensor(x.data, x.shape)));
    const data = await summaries.data();
    return { shape: summaries.shape, data: Float64Array.from(data) };
  }
}

/** @throws InvNetError for numbers that are NaN, of rows of a size. */
function requireNumbers(op: string, name: string, data: Float64Array, size: number): void {
  const at = data.findIndex(Number.isNaN);
  if (at < 0) return;
  throw new InvNetError(
    `${op}: ${name} ${Math.floor(at / size)} is NaN; expected numbers. The observation may be so far from those of the ` +
      'training that the network overflows.',
  );
}

function oneOf({ x: { shape, data } }: ObservationBatch, k: number): HostArray {
  const size = data.length / shape[0]!;
  return { shape: shape.slice(1), data: data.slice(k * size, (k + 1) * size) };
}
