/**
 * Neural posterior estimation: a flow that is fitted to parameters given their simulated observations is their posterior, for
 * any observation (Papamakarios and Murray, "Fast ε-free inference of simulation models with Bayesian conditional density
 * estimation", 2016; Radev et al., "BayesFlow", 2020). Mathematics: docs/math/inference/neural-posterior.md
 */
import type { HostArray } from '@invnet/datasets';
import { Flow, StandardNormal, Uniform } from '@invnet/flows';
import {
  type Bijection,
  type Conditioner,
  Construction,
  evaluate,
  reverse,
  Sequential,
  Standardization,
} from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import { type RandomStream, requireOptions, tensor, tidy } from '@invnet/tensor';
import { type FitProgress, fit, type Optimizer } from '@invnet/train';
import {
  type Estimator,
  type MadeEstimator,
  makeEstimator,
  mapsBox,
  requireEstimator,
} from '../estimators/estimator.ts';
import {
  type LearningOptions,
  type LearningResult,
  learningOptions,
  weightsStream,
  withDefaults,
} from '../estimators/fit-defaults.ts';
import { freeParameters } from '../priors/free-parameters.ts';
import { type Prior, requirePrior } from '../priors/prior.ts';
import type { Support } from '../priors/support.ts';
import { Run } from '../run.ts';
import { type Pairs, requirePairs } from '../simulation/pairs.ts';
import { failureWarnings } from '../simulation/simulation-failure.ts';
import { momentsOf } from '../summaries/moments.ts';
import { type MadeSummary, makeSummary, type Summary } from '../summaries/summary.ts';
import { Posterior } from './posterior.ts';
import { TypicalObservations } from './typical-observations.ts';

/**
 * How to learn a posterior: the network, and what `fit` takes, but what is decided here. Defaults are up to 300
 * epochs with a patience of 15, batches of a hundredth of the rows, from 32 to 256, averages of weights over about an epoch,
 * `AdamW` whose decay grows with the number of parameters, and a rate of 2·10⁻³, for splines between bounds 5·10⁻³, that falls where
 * the validation loss no longer does (`plateau`); of flow matching up to 600 epochs, a patience of 60 and averages over ten.
 */
export interface NeuralPosteriorOptions extends LearningOptions {
  /** Default: couplings by splines. */
  readonly estimator?: Estimator;
  /** What makes a few numbers of an observation. Default: vectors of up to 64 numbers as they are, else a dense network. */
  readonly summary?: Summary;
}

/** A posterior, and how it came about. */
export interface NeuralPosteriorResult extends LearningResult {
  readonly posterior: Posterior;
}

/**
 * Learns p(θ | x) of simulations. Parameters are taken before the map onto the prior's support, and standardized, as
 * observations are; all of that is part of the posterior. Those that all lie between bounds stay as they are where the estimator
 * is one of splines, which map the box onto itself. Losses are those of parameters before that map. Simulations that failed are
 * among the warnings.
 *
 * @param prior - The one that the parameters were drawn from.
 * @throws ValueError for parameters outside of the prior's support, and as `fit`. @throws ShapeError for another number of
 * parameters than of observations.
 * @example
 * const prior = uniformPrior({ low: [-1, -1], high: [1, 1] });
 * const simulations = await simulate(simulator, prior, { count: 10_000, seed: 1 }).result();
 * const learning = neuralPosterior(prior, simulations, { seed: 2 });
 * for await (const { epoch, validationLoss } of learning) console.log(epoch, validationLoss);
 * const { posterior } = await learning.result();
 * await posterior.sample({ x: [0, 0], count: 1000, seed: 3 });
 */
export function neuralPosterior(
  prior: Prior,
  simulations: Pairs,
  options: NeuralPosteriorOptions = {},
): Run<FitProgress, NeuralPosteriorResult> {
  const op = 'neuralPosterior';
  requirePrior(op, prior);
  requireOptions(op, options, ['estimator', 'summary', ...learningOptions]);
  const { estimator = 'spline', summary, ...how } = options;
  requireEstimator(op, estimator);
  const pairs = requirePairs(op, prior, simulations);
  return new Run(learn(op, prior, pairs, { estimator, summary, how }));
}

interface Settings {
  readonly estimator: Estimator;
  readonly summary: Summary | undefined;
  readonly how: LearningOptions;
}

async function* learn(
  op: string,
  prior: Prior,
  { theta, x, failures }: Required<Pairs>,
  { estimator, summary, how }: Settings,
): AsyncGenerator<FitProgress, NeuralPosteriorResult, undefined> {
  const inBox = mapsBox(estimator) && prior.support.every(({ kind }) => kind === 'box');
  const toSupport = inBox ? fromUnitBox(prior.support) : prior.toSupport();
  let parts: Parts | undefined;
  let optimizer: Optimizer | undefined;
  let learned = false;
  try {
    const free = await freeParameters(prior, theta, toSupport);
    const random = weightsStream(how);
    parts = makeParts(op, free, x, { estimator, summary, random, inBox });
    const { pace } = parts;
    const defaults = withDefaults(how, { rows: x.shape[0]!, size: prior.size, pace });
    optimizer = defaults.optimizer;
    const settings = {
      ...defaults,
      // Parts of the posterior do that.
      standardize: false,
      loss: parts.loss,
    };
    const fitting = fit(parts.flow, { x: free, context: x }, settings);
    const failed = failureWarnings(failures, x.shape[0]!);
    for (const warning of failed) how.onWarning?.(warning);
    yield* fitting;
    const { flow: _, warnings, ...result } = await fitting.result();
    // Normalizations of a summary's own take what they have learned from here on.
    parts.flow.training = false;
    parts.typical.set(await summariesOf(parts.summary.network, x));
    const posterior = posteriorOf(prior, toSupport, parts);
    posterior.training = false;
    learned = true;
    return { posterior, ...result, warnings: [...failed, ...warnings] };
  } finally {
    if (!how.optimizer) optimizer?.dispose();
    if (!learned) for (const part of [toSupport, parts?.flow, parts?.typical]) part?.dispose();
  }
}

/** What is trained, and what is learned beside it. */
interface Parts extends Pick<MadeEstimator, 'loss' | 'pace'> {
  /** Of standardized parameters on the real line, given observations as they are. */
  readonly flow: Flow;
  readonly network: Bijection;
  readonly summary: MadeSummary;
  readonly typical: TypicalObservations;
}

function makeParts(
  op: string,
  free: HostArray,
  x: HostArray,
  how: Pick<Settings, 'estimator' | 'summary'> & { random: RandomStream; inBox: boolean },
): Parts {
  using building = new Construction();
  const { random, inBox } = how;
  const size = free.shape[1]!;
  const summary = makeSummary(op, how.summary, x, { parameters: size, random });
  const shape = { size, contextChannels: summary.features, random, inBox };
  const estimator = makeEstimator(op, how.estimator, shape);
  const network = inBox
    ? estimator.network
    : new Sequential([standardizationOf(free), estimator.network]);
  const summarized = new SummarizedNetwork({ network, summary: summary.network });
  const typical = new TypicalObservations({ features: summary.features });
  const base = inBox ? new Uniform({ low: -edge, high: edge }) : new StandardNormal();
  const flow = new Flow({ network: summarized, base });
  building.complete();
  const { loss, pace } = estimator;
  return { flow, network, summary, typical, loss, pace };
}

/** The posterior of parameters in the support, which takes over the parts. */
function posteriorOf(
  prior: Prior,
  toSupport: Bijection,
  { flow, network, summary, typical }: Parts,
): Posterior {
  return new Posterior({
    flow: new Flow({
      network: new Sequential([reverse(toSupport), network]),
      base: flow.base,
    }),
    summary: summary.network,
    support: prior.support,
    observation: summary.observation,
    typical,
  });
}

/** Where the latent of a box ends: a rounding beyond its bounds, so that none of them is of density zero. */
const edge = 1 + 1e-5;

/** From [−1, 1]ᴰ to parameters between bounds. */
function fromUnitBox(support: readonly Support[]): Bijection {
  const bounds = support.flatMap((block) =>
    block.kind === 'box' ? block.low.map((low, i) => [low, block.high[i]!] as const) : [],
  );
  const standardization = new Standardization({ channels: bounds.length });
  standardization.set({
    mean: bounds.map(([low, high]) => (low + high) / 2),
    deviation: bounds.map(([low, high]) => (high - low) / 2),
  });
  return reverse(standardization);
}

function standardizationOf(free: HostArray): Standardization {
  const standardization = new Standardization({ channels: free.shape[1]! });
  standardization.set(momentsOf(free, 1));
  return standardization;
}

/** Rows whose summaries are computed at once, and how many are enough to know how they are spread. */
const [rowsAtOnce, mostRows] = [512, 10_240];

async function summariesOf(network: Conditioner, { shape, data }: HostArray): Promise<number[]> {
  const count = Math.min(shape[0]!, mostRows);
  const size = data.length / shape[0]!;
  const summaries: number[] = [];
  for (let from = 0; from < count; from += rowsAtOnce) {
    const to = Math.min(from + rowsAtOnce, count);
    using rows = tidy(() =>
      evaluate(network, tensor(data.slice(from * size, to * size), [to - from, ...shape.slice(1)])),
    );
    summaries.push(...(await rows.data()));
  }
  return summaries;
}
