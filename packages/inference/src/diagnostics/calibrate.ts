/**
 * Is a posterior as sure as it may be? Pairs of parameters and observations that it has not seen, and for each of them
 * where the truth lies among samples: all checks of `@invnet/metrics` in one pass, whose memory is that of a batch and of
 * a few numbers a pair. Mathematics: docs/math/metrics/calibration.md
 *
 * Left out: what is plotted (report.ts).
 */
import { type HostArray, requireHostArray } from '@invnet/datasets';
import {
  contraction,
  densityRank,
  posteriorMoments,
  rankAmong,
  tarpRank,
  tarpReferences,
  zScores,
} from '@invnet/metrics';
import {
  formatShape,
  formatValue,
  RandomStream,
  requireBoolean,
  requireFunction,
  requireOptions,
  requireRecord,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { Run } from '../run.ts';
import type { Pairs } from '../simulation/pairs.ts';
import { type CalibrationRanks, type CalibrationTest, testsOf } from './calibration-tests.ts';

/** What is asked of a posterior: a `Posterior`, or whatever else gives samples of parameters for observations. */
export interface Sampler {
  /** Parameters [K, count, D] for observations [K, …]. */
  sample(options: {
    readonly x: HostArray;
    readonly count: number;
    readonly seed: RandomStream;
  }): Promise<HostArray>;
  /** log p(θ | x) of parameters [K, N, D], K·N numbers; coverage of regions of highest density needs it. */
  logProb?(options: {
    readonly x: HostArray;
    readonly theta: HostArray;
  }): Promise<ArrayLike<number>>;
}

/** How to calibrate. */
export interface CalibrateOptions {
  readonly seed: number;
  /** Samples of the posterior for each pair, an odd number, so that central intervals end at samples. Default: 99. */
  readonly draws?: number;
  /** Observations at once, which bounds the memory. Default: 50. */
  readonly batchSize?: number;
  /** Of the parameters. Default: θ1, θ2, … */
  readonly names?: readonly string[];
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How far it is. */
export interface CalibrationProgress {
  /** Pairs that are done. */
  readonly done: number;
  readonly count: number;
}

/** What `calibrate` gives. */
export interface Calibration extends CalibrationRanks {
  /** Whether each kind of ranks is uniform, and what it says where it is not. */
  readonly tests: readonly CalibrationTest[];
}

/**
 * Samples the posterior of each observation, and puts the truth among them: ranks of each parameter (simulation-based
 * calibration), of the truth's density (expected coverage) and of its distance to a random point (TARP), z-scores and
 * contraction, with an exact p-value for each kind of ranks; and the log-density of each truth, by which estimators are compared.
 *
 * @param pairs - From the prior and the simulator, not those of training.
 * @returns A run: an async iterator of progress, whose `result()` is the calibration.
 * @throws ValueError, ShapeError for pairs that do not fit each other or the posterior.
 * @example
 * const pairs = await simulate(simulator, prior, { count: 500, seed: 2 }).result();
 * const { tests } = await calibrate(posterior, pairs, { seed: 3 }).result();
 * for (const { of, pValue, finding } of tests) console.log(of, pValue, finding ?? 'calibrated');
 */
export function calibrate(
  posterior: Sampler,
  pairs: Pairs,
  options: CalibrateOptions,
): Run<CalibrationProgress, Calibration> {
  const op = 'calibrate';
  requireOptions(op, options, ['seed', 'draws', 'batchSize', 'names', 'signal']);
  const { seed, draws = 99, batchSize = 50, signal } = options;
  requireRecord(op, 'posterior', posterior, 'a posterior, with sample and logProb');
  requireFunction(op, 'posterior.sample', posterior.sample);
  if (posterior.logProb !== undefined) {
    requireFunction(op, 'posterior.logProb', posterior.logProb);
  }
  requireRecord(op, 'pairs', pairs, '{ theta, x }');
  const [theta, x] = [
    requireHostArray(op, 'theta', pairs.theta),
    requireHostArray(op, 'x', pairs.x),
  ];
  if (theta.shape.length !== 2 || x.shape[0] !== theta.shape[0]) {
    throw new ShapeError(
      `${op}: theta is ${formatShape(theta.shape)} and x ${formatShape(x.shape)}; expected [N, D] and [N, …].`,
    );
  }
  requireWhole(op, 'seed', seed, 0);
  requireWhole(op, 'draws', draws, 3, 9999);
  if (draws % 2 === 0) {
    throw new ValueError(`${op}: draws is ${draws}; expected an odd number, such as ${draws - 1}.`);
  }
  requireWhole(op, 'batchSize', batchSize, 1);
  if (signal !== undefined) requireBoolean(op, "the signal's aborted", signal?.aborted);
  const names = requireNames(op, options.names, theta.shape[1]!);
  return new Run(work(posterior, { theta, x }, { seed, draws, batchSize, names, signal }));
}

async function* work(
  posterior: Sampler,
  { theta, x }: Pairs,
  options: Required<Omit<CalibrateOptions, 'signal'>> & Pick<CalibrateOptions, 'signal'>,
): AsyncGenerator<CalibrationProgress, Calibration, undefined> {
  const { draws, batchSize, names, signal } = options;
  const [count, size] = [theta.shape[0]!, theta.shape[1]!];
  const truths = Array.from({ length: count }, (_, i) => rowOf(theta, i).data);
  const { points, scales } = tarpReferences(truths, { seed: options.seed });
  const prior = posteriorMoments(truths).deviation;
  const random = new RandomStream(options.seed);
  const numbers = () => new Float64Array(count);
  const found = names.map((name) => {
    return { name, ranks: numbers(), zScores: numbers(), contraction: numbers() };
  });
  const tarpRanks = numbers();
  const [densityRanks, logDensities] = posterior.logProb ? [numbers(), numbers()] : [];
  for (let from = 0; from < count; from += batchSize) {
    if (signal?.aborted) throw signal.reason;
    const seen = rowsOf(x, from, Math.min(from + batchSize, count));
    const samples = await posterior.sample({ x: seen, count: draws, seed: random });
    requireSamples(samples, [seen.shape[0]!, draws, size]);
    const densities = await densitiesOf(posterior, seen, { theta, from, samples });
    for (let k = 0; k < seen.shape[0]!; k++) {
      const [i, own] = [from + k, rowOf(samples, k)];
      const truth = truths[i]!;
      const rows = Array.from({ length: draws }, (_, s) => rowOf(own, s).data);
      const moments = posteriorMoments(rows);
      const [z, narrower] = [zScores(truth, moments), contraction(moments.deviation, prior)];
      for (const [d, parameter] of found.entries()) {
        parameter.ranks[i] = rankAmong(
          truth[d]!,
          rows.map((row) => row[d]!),
          { random },
        );
        parameter.zScores[i] = z[d]!;
        parameter.contraction[i] = narrower[d]!;
      }
      tarpRanks[i] = tarpRank(truth, own, { reference: points[i]!, scales });
      if (!densityRanks || !logDensities || !densities) continue;
      const [first, ...others] = densities.slice(k * (draws + 1), (k + 1) * (draws + 1));
      logDensities[i] = first!;
      densityRanks[i] = densityRank(first!, others);
    }
    yield { done: from + seen.shape[0]!, count };
  }
  const calibration = { count, draws, parameters: found, tarpRanks, densityRanks, logDensities };
  return { ...calibration, tests: testsOf(calibration) };
}

/** log p of the truth of each observation, and behind it of its samples. */
async function densitiesOf(
  posterior: Sampler,
  x: HostArray,
  given: { readonly theta: HostArray; readonly from: number; readonly samples: HostArray },
): Promise<number[] | undefined> {
  if (!posterior.logProb) return undefined;
  const [several, draws, size] = given.samples.shape as [number, number, number];
  const data = new Float64Array(several * (draws + 1) * size);
  for (let k = 0; k < several; k++) {
    const at = k * (draws + 1) * size;
    data.set(rowOf(given.theta, given.from + k).data, at);
    data.set(rowOf(given.samples, k).data, at + size);
  }
  const theta = { shape: [several, draws + 1, size], data };
  const densities = await posterior.logProb({ x, theta });
  if (densities?.length === several * (draws + 1)) return Array.from(densities);
  throw new ShapeError(
    `calibrate: the posterior gave ${densities?.length} densities for parameters ${formatShape(theta.shape)}; expected one ` +
      'for each of them.',
  );
}

function rowsOf({ shape, data }: HostArray, from: number, to: number): HostArray {
  const size = data.length / shape[0]!;
  return { shape: [to - from, ...shape.slice(1)], data: data.slice(from * size, to * size) };
}

/** A view of one row. */
function rowOf({ shape, data }: HostArray, i: number): HostArray {
  const size = data.length / shape[0]!;
  return { shape: shape.slice(1), data: data.subarray(i * size, (i + 1) * size) };
}

function requireSamples(samples: HostArray, shape: readonly number[]): void {
  const given = requireHostArray('calibrate', "the posterior's samples", samples);
  if (formatShape(given.shape) === formatShape(shape)) return;
  throw new ShapeError(
    `calibrate: the posterior's samples are ${formatShape(given.shape)}; expected ${formatShape(shape)}, for as many ` +
      'observations.',
  );
}

function requireNames(
  op: string,
  names: readonly string[] | undefined,
  size: number,
): readonly string[] {
  if (names === undefined) return Array.from({ length: size }, (_, d) => `θ${d + 1}`);
  const right = Array.isArray(names) && names.every((name) => typeof name === 'string');
  if (right && names.length === size) return [...names];
  throw new ValueError(
    `${op}: names is ${formatValue(names)}; expected ${size} texts, one a parameter.`,
  );
}
