/**
 * The networks that learn densities of parameters given a summary of the observation, with sizes that suit most problems.
 * They map parameters on the real line, standardized, to the latent; splines between bounds map a box onto itself.
 */
import { flowMatching, negativeLogLikelihood } from '@invnet/flows';
import {
  AffineTransformer,
  type Bijection,
  ConditionalTransform,
  Construction,
  ContinuousFlow,
  Conv1x1,
  keeping,
  RationalQuadraticSpline,
  requireBijection,
  requireRepeats,
  requireSizes,
  Sequential,
  SmoothField,
  softsignClamp,
  type Transformer,
  TransformerCoupling,
} from '@invnet/layers';
import { maskedAutoregressiveFlow } from '@invnet/networks';
import {
  formatValue,
  mean,
  neg,
  type RandomStream,
  requireOneOf,
  requireOptions,
  tidy,
  ValueError,
} from '@invnet/tensor';
import type { FitLoss } from '@invnet/train';

import { boxSplines } from './box-splines.ts';
import { boxPace, likelihoodPace, matchingPace, type Pace } from './fit-defaults.ts';
import { residualConditioner } from './residual-conditioner.ts';

/** What an estimator is made for. */
export interface EstimatorShape {
  /** Parameters, D. */
  readonly size: number;
  /** Numbers of the summary that it is conditioned on. */
  readonly contextChannels: number;
  /** Draws the weights. */
  readonly random: RandomStream;
  /** Do parameters and latents lie in [−1, 1]? For estimators that `mapsBox`; else they are any numbers. */
  readonly inBox?: boolean;
}

/** One of the estimators here, and its sizes. */
export interface EstimatorOptions {
  /**
   * Couplings by rational-quadratic splines (Durkan et al. 2019) or by scales and shifts (Dinh et al. 2017); a masked
   * autoregressive flow (Papamakarios et al. 2017), whose densities are fast and whose samples take D passes; or a
   * continuous flow, trained by flow matching (Dax et al. 2023), whose steps are cheapest and whose samples and densities are
   * dearest. Default: `spline`.
   */
  readonly kind?: EstimatorName;
  /** Layers one after the other, of all but `flow-matching`. Default: 5. */
  readonly transforms?: number;
  /** Width of the networks in them. Default: 64, and more for more than 8 parameters; of `flow-matching` 128. */
  readonly hidden?: number;
  /** Of `spline`. Default: 8. */
  readonly bins?: number;
}

/** Names of the estimators. */
export const estimatorNames = ['spline', 'affine', 'autoregressive', 'flow-matching'] as const;

/** One of `estimatorNames`. */
export type EstimatorName = (typeof estimatorNames)[number];

/** An estimator by its name, by its options, or a function that makes one of your own. */
export type Estimator = EstimatorName | EstimatorOptions | ((shape: EstimatorShape) => Bijection);

/** A network, and how it is trained. */
export interface MadeEstimator {
  readonly network: Bijection;
  readonly loss: FitLoss;
  readonly pace: Pace;
}

/**
 * −mean log q, with all states kept for the backward: these networks are small, and an autoregressive layer goes back to its
 * input one parameter after another. In evaluation nobody wants gradients.
 */
const likelihoodLoss: FitLoss = (flow, { x, context }) =>
  flow.training
    ? keeping('all', () => negativeLogLikelihood(flow, x, context))
    : tidy(() => neg(mean(flow.logProb(x, context))));

/** Of flow matching, more of it at times close to the data, where what is narrow in posteriors is made. */
const matchingLoss: FitLoss = (flow, batch) => flowMatching(flow, { ...batch, timePower: 2 });

/**
 * A network of parameters [N, D] that takes summaries [N, contextChannels] as its context.
 *
 * @throws ValueError for another name, sizes that are not whole and positive, and a network that uses no context.
 */
export function makeEstimator(
  op: string,
  estimator: Estimator,
  shape: EstimatorShape,
): MadeEstimator {
  const network = makeNetwork(op, estimator, shape);
  if (network instanceof ContinuousFlow) return { network, loss: matchingLoss, pace: matchingPace };
  return { network, loss: likelihoodLoss, pace: shape.inBox ? boxPace : likelihoodPace };
}

function makeNetwork(op: string, estimator: Estimator, shape: EstimatorShape): Bijection {
  if (typeof estimator === 'function') {
    const own = requireBijection(op, 'estimator', estimator(shape), 1);
    if (own.usesContext) return own;
    throw new ValueError(
      `${op}: estimator gave a ${own.type} that uses no context; expected a network of parameters given a context.`,
    );
  }
  const options = typeof estimator === 'string' ? { kind: estimator } : estimator;
  requireOptions(`${op}: estimator`, options, ['kind', 'transforms', 'hidden', 'bins']);
  const { kind = 'spline', transforms = 5, bins = 8 } = options;
  const { hidden = kind === 'flow-matching' ? 128 : Math.min(256, Math.max(64, 8 * shape.size)) } =
    options;
  requireOneOf(op, 'estimator', kind, estimatorNames);
  requireRepeats(op, 'estimator.transforms', transforms);
  requireSizes(op, { hidden });
  const sizes = { ...shape, transforms, hidden };
  if (kind === 'autoregressive') return autoregressive(sizes);
  if (kind === 'flow-matching') return continuous(sizes);
  if (shape.inBox) return boxSplines({ ...sizes, bins });
  return couplings(
    sizes,
    kind === 'spline' ? new RationalQuadraticSpline({ bins, bound: 5 }) : affine(),
  );
}

/**
 * Can the estimator map a box onto itself, so that parameters between bounds stay as they are? Splines can, and their
 * densities may then end at the bounds with any value, as posteriors under a uniform prior do.
 */
export function mapsBox(estimator: Estimator): boolean {
  if (typeof estimator === 'function') return false;
  return (typeof estimator === 'string' ? estimator : (estimator.kind ?? 'spline')) === 'spline';
}

interface Sizes extends EstimatorShape {
  readonly transforms: number;
  readonly hidden: number;
}

/** Scales of any size, which the first layer needs where posteriors are narrow. */
function affine(): Transformer {
  return new AffineTransformer({ scaleFunction: softsignClamp({ clamp: Math.log(1000) }) });
}

/**
 * Where and how wide the posterior is comes first, so that what follows sees numbers close to a standard normal; then
 * couplings, each behind a matrix that mixes the parameters.
 */
function couplings(sizes: Sizes, transformer: Transformer): Bijection {
  const { size: channels, contextChannels, transforms, hidden, random } = sizes;
  using building = new Construction();
  const conditioner = residualConditioner(hidden, random);
  const common = { channels, contextChannels, conditioner, ndims: 0 };
  const layers: Bijection[] = [new ConditionalTransform({ ...common, transformer: affine() })];
  if (channels === 1) layers.push(new ConditionalTransform({ ...common, transformer }));
  else {
    for (let i = 0; i < transforms; i++) {
      layers.push(
        new Conv1x1({ channels, parametrization: 'plu', random }),
        new TransformerCoupling({
          ...common,
          transformer,
          moves: i % 2 === 0 ? 'second' : 'first',
        }),
      );
    }
  }
  const network = new Sequential(layers);
  building.complete();
  return network;
}

function autoregressive({ size, contextChannels, transforms, hidden, random }: Sizes): Bijection {
  const widths = [hidden, hidden];
  return maskedAutoregressiveFlow({
    channels: size,
    contextChannels,
    transforms,
    hidden: widths,
    random,
  });
}

/** Standardized parameters are seldom as far; a path that is would otherwise go to infinity. */
const reach = 10;

function continuous({ size: channels, contextChannels, hidden, random }: Sizes): Bijection {
  const widths = [hidden, hidden, hidden, hidden];
  const field = new SmoothField({ channels, contextChannels, hidden: widths, reach, random });
  return new ContinuousFlow({ field });
}

/** For messages: what an estimator may be. @throws ValueError for what is none. */
export function requireEstimator(op: string, estimator: Estimator): Estimator {
  if (typeof estimator === 'function' || typeof estimator === 'string') return estimator;
  if (typeof estimator === 'object' && estimator !== null) return estimator;
  throw new ValueError(
    `${op}: estimator is ${formatValue(estimator)}; expected one of ${estimatorNames.map(formatValue).join(', ')}, its ` +
      'options, or a function.',
  );
}
