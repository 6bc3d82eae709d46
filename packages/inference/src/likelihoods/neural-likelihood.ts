/**
 * Neural likelihood estimation: a flow that is fitted to observations given the parameters they were simulated of (Papamakarios,
 * Sterratt and Murray, "Sequential neural likelihood", 2019). Mathematics: docs/math/inference/neural-likelihood.md
 */
import type { HostArray } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { asConditioner, Construction, Sequential, Standardization } from '@invnet/layers';
import { SummarizedNetwork } from '@invnet/networks';
import { formatShape, type RandomStream, requireOptions, ShapeError } from '@invnet/tensor';
import { type FitProgress, fit } from '@invnet/train';
import {
  type Estimator,
  type MadeEstimator,
  makeEstimator,
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
import { Run } from '../run.ts';
import { type Pairs, requirePairs } from '../simulation/pairs.ts';
import { failureWarnings } from '../simulation/simulation-failure.ts';
import { momentsOf } from '../summaries/moments.ts';
import { Likelihood } from './likelihood.ts';

/** How to learn a likelihood: the network, and what `fit` takes, with the defaults of `neuralPosterior`. */
export interface NeuralLikelihoodOptions extends LearningOptions {
  /** Default: couplings by splines. Chains along a continuous flow are slow. */
  readonly estimator?: Estimator;
}

/** A likelihood, and how it came about. */
export interface NeuralLikelihoodResult extends LearningResult {
  readonly likelihood: Likelihood;
}

/**
 * Learns q(x | θ) of simulations. It is for observations that are few real numbers, such as summary statistics, of which there
 * are many for the same parameters: the posterior of any number of them comes from one likelihood, by `likelihood.sample`.
 * `neuralPosterior` has samples at once, and observations of any kind. Simulations that failed are among the warnings.
 *
 * @param prior - Any that simulations were drawn from; the likelihood does not depend on it.
 * @throws ValueError, ShapeError as `neuralPosterior`, and for observations that are no vectors.
 * @example
 * const { likelihood } = await neuralLikelihood(prior, simulations, { seed: 2 }).result();
 * const { data, rHat } = await likelihood.sample({ prior, x: fiftyObservations, count: 1000, seed: 3 });
 */
export function neuralLikelihood(
  prior: Prior,
  simulations: Pairs,
  options: NeuralLikelihoodOptions = {},
): Run<FitProgress, NeuralLikelihoodResult> {
  const op = 'neuralLikelihood';
  requirePrior(op, prior);
  requireOptions(op, options, ['estimator', ...learningOptions]);
  const { estimator = 'spline', ...how } = options;
  requireEstimator(op, estimator);
  const pairs = requirePairs(op, prior, simulations);
  if (pairs.x.shape.length !== 2) {
    throw new ShapeError(
      `${op}: observations are ${formatShape(pairs.x.shape)}; expected vectors [N, F], such as summary statistics.`,
    );
  }
  return new Run(learn(op, prior, pairs, estimator, how));
}

async function* learn(
  op: string,
  prior: Prior,
  { theta, x, failures }: Required<Pairs>,
  estimator: Estimator,
  how: LearningOptions,
): AsyncGenerator<FitProgress, NeuralLikelihoodResult, undefined> {
  const free = await freeParameters(prior, theta);
  const random = weightsStream(how);
  const { flow, loss, pace } = makeFlow(op, free, x, estimator, random);
  const [rows, size] = x.shape as [number, number];
  const defaults = withDefaults(how, { rows, size, pace });
  let learned = false;
  try {
    const fitting = fit(flow, { x, context: free }, { ...defaults, loss });
    const failed = failureWarnings(failures, rows);
    for (const warning of failed) how.onWarning?.(warning);
    yield* fitting;
    const { flow: fitted, warnings, ...result } = await fitting.result();
    const likelihood = new Likelihood({
      flow: fitted,
      support: prior.support,
      features: x.shape[1]!,
    });
    likelihood.training = false;
    learned = true;
    return { likelihood, ...result, warnings: [...failed, ...warnings] };
  } finally {
    if (!how.optimizer) defaults.optimizer.dispose();
    if (!learned) flow.dispose();
  }
}

function makeFlow(
  op: string,
  free: HostArray,
  x: HostArray,
  estimator: Estimator,
  random: RandomStream,
): Omit<MadeEstimator, 'network'> & { flow: Flow } {
  using building = new Construction();
  const standardized = (array: HostArray) => {
    const layer = new Standardization({ channels: array.shape[1]! });
    layer.set(momentsOf(array, 1));
    return layer;
  };
  const shape = { size: x.shape[1]!, contextChannels: free.shape[1]!, random };
  const { network, ...training } = makeEstimator(op, estimator, shape);
  const flow = new Flow({
    network: new SummarizedNetwork({
      network: new Sequential([standardized(x), network]),
      summary: asConditioner(standardized(free)),
    }),
  });
  building.complete();
  return { flow, ...training };
}
