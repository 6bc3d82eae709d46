/** All checks of a trained posterior, on cases that it was not trained on. */
import type { Flow } from '@invnet/flows';
import { tensor } from '@invnet/tensor';
import { randomStream } from 'example-kit';
import { decibels, meanSquare } from './checks/check.ts';
import { ClosedFormCheck, type MomentErrors } from './checks/closed-form.ts';
import { CoverageCheck } from './checks/coverage.ts';
import { FunctionalRanksCheck } from './checks/functional-ranks.ts';
import { ImageQualityCheck } from './checks/image-quality.ts';
import { MisfitCheck } from './checks/misfit.ts';
import { mostProbable } from './checks/most-probable.ts';
import { SampleMeansCheck } from './checks/sample-means.ts';
import { UncertaintyCheck } from './checks/uncertainty.ts';
import { toCoordinates } from './coordinates.ts';
import { type PosteriorCase, posteriorCases } from './posterior.ts';
import { disposeObservations, type InverseProblem, type Observations } from './problem.ts';

/** Samples of each case: 39, for which intervals of 5 % to 95 % end at samples. */
export const samplesPerCase = 39;
/** Linear functionals whose ranks are looked at. */
const functionals = 64;
/** Cases that are drawn at once; of the first of them the most probable images are searched. */
const atOnce = 8;
/** Cases that pictures show. */
const shown = 4;

export type Evaluation = Awaited<ReturnType<typeof evaluate>>;

/** What the checks say, over observations that come in batches, which are freed. */
export async function evaluate(options: {
  readonly flow: Flow;
  readonly problem: InverseProblem;
  readonly batches: Iterable<Observations> | AsyncIterable<Observations>;
  readonly seed: number;
  readonly signal: AbortSignal;
}) {
  const { flow, problem, batches, seed, signal } = options;
  const size = problem.channels * problem.size ** 2;
  const means = new SampleMeansCheck();
  const covered = new CoverageCheck(problem.region);
  const weights = randomStream(seed, 'weights', 1);
  const ranks = new FunctionalRanksCheck({ count: functionals, size, random: weights });
  const misfits = new MisfitCheck();
  const uncertainty = new UncertaintyCheck();
  const within = problem.region && new UncertaintyCheck(problem.region);
  const quality = new ImageQualityCheck(problem);
  const checks = [means, covered, ranks, misfits, uncertainty, within, quality];
  const examples: PosteriorCase[] = [];
  let cases = 0;
  let nats = 0;
  let estimates: { readonly mean: number; readonly mostProbable: number } | undefined;

  for await (const observations of batches) {
    const first = cases;
    nats += await negativeLogDensity(flow, problem, observations);
    const batch: PosteriorCase[] = [];
    for await (const posterior of posteriorCases({
      flow,
      problem,
      observations,
      count: samplesPerCase,
      random: (i) => randomStream(seed, 'samples', first + i),
    })) {
      for (const check of checks) await check?.add(posterior);
      cases += 1;
      batch.push(posterior);
      if (examples.length < shown) examples.push(posterior);
      await new Promise(setImmediate);
      signal.throwIfAborted();
    }
    estimates ??= await compareEstimates(flow, problem, observations, batch);
    disposeObservations(observations);
  }
  return {
    cases,
    /** −log p(x | d) per number of an image. */
    natsPerNumber: nats / cases / size,
    sampleMeans: means.result(),
    coverage: covered.result(),
    functionalRanks: ranks.result(),
    misfit: misfits.result(),
    uncertainty: uncertainty.result(),
    ...(within && { uncertaintyWithin: within.result() }),
    estimates: estimates!,
    psnr: quality.result(),
    examples,
  };
}

/** Observations of images that were kept from training, `count` in all. */
export async function* heldOut(
  problem: InverseProblem,
  { count, seed }: { readonly count: number; readonly seed: number },
): AsyncGenerator<Observations> {
  for (let first = 0; first < count; first += atOnce) {
    const random = randomStream(seed, 'validation', first / atOnce);
    yield await problem.draw('held-out', Math.min(atOnce, count - first), random);
  }
}

/** The sum of −log p(x | d) = −log p(v | d) − m log κ over images. */
async function negativeLogDensity(flow: Flow, problem: InverseProblem, observations: Observations) {
  const kappa = problem.spread / problem.noise;
  using v = toCoordinates(observations.x, observations, kappa);
  using logProb = flow.logProb(v, observations.context);
  let sum = 0;
  for (const value of await logProb.data()) sum -= value + problem.observed * Math.log(kappa);
  return sum;
}

/**
 * Mean square errors of the conditional mean and of the most probable image, in dB below 1. What few samples leave of
 * their own noise in their mean, variance/P, is subtracted from the mean's.
 */
async function compareEstimates(
  flow: Flow,
  problem: InverseProblem,
  observations: Observations,
  cases: readonly PosteriorCase[],
) {
  const { shape } = observations.x;
  const size = cases[0]!.mean.length;
  const means = new Float32Array(cases.length * size);
  let noise = 0;
  for (const [i, { mean, deviation, samples }] of cases.entries()) {
    means.set(mean, i * size);
    noise += meanSquare(deviation, new Float32Array(size)) / samples.length / cases.length;
  }
  const truths = await observations.x.data();
  using start = tensor(means, shape);
  using probable = mostProbable({ flow, problem, observations, start });
  return {
    mean: -decibels(meanSquare(means, truths) - noise),
    mostProbable: -decibels(meanSquare(await probable.data(), truths)),
  };
}

/** Moments of many samples of a few held-out cases beside those of the posterior, where it is known. */
export async function momentErrors(options: {
  readonly flow: Flow;
  readonly problem: InverseProblem;
  readonly seed: number;
}): Promise<MomentErrors | undefined> {
  const { flow, problem, seed } = options;
  if (!problem.posterior) return undefined;
  const check = new ClosedFormCheck(problem.posterior);
  const observations = await problem.draw('held-out', 16, randomStream(seed, 'test'));
  const data = await observations.data.data();
  const random = (i: number) => randomStream(seed, 'test', 1 + i);
  let i = 0;
  for await (const posterior of posteriorCases({
    flow,
    problem,
    observations,
    count: 1000,
    random,
  })) {
    check.add(posterior, data.subarray(i * problem.observed, (i + 1) * problem.observed));
    i += 1;
  }
  disposeObservations(observations);
  return check.result();
}
