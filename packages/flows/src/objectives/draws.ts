/**
 * Samples of a flow that move with its parameters, the weights that an energy gives them, and how a loss of both is
 * differentiated: what the objectives for energies share. Mathematics: docs/math/flows/objectives.md
 */
import {
  activeStep,
  initializeSync,
  isInitialized,
  perSample,
  reverse,
  withoutGradients,
} from '@invnet/layers';
import {
  add,
  affine,
  checkShape,
  mul,
  neg,
  ones,
  RandomStream,
  requireBetween,
  requireOneOf,
  requireOptions,
  type Shape,
  sub,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { baseContext, type Flow, networkContext, requireFlow } from '../flow.ts';
import { type Energy, requireEnergy, requireFiniteNow, slopeAt } from './energy.ts';

/** What an objective draws, and how it is differentiated. */
export interface EnergyLossOptions {
  /** Shape of the samples, batch first. */
  readonly shape: Shape;
  /** Seed of the latent variables; or a stream that moves on, as in training. */
  readonly seed: number | RandomStream;
  /** What the network and the base take as their context, for each of the samples or one for all. */
  readonly context?: Tensor | undefined;
  /**
   * Both estimate the same gradient. `path` leaves out a term whose mean is 0, so that its noise vanishes as the flow
   * comes to fit, for one backward more; `total` differentiates the loss as it stands. Default: path.
   */
  readonly gradient?: 'path' | 'total';
  /** Multiplies the energy: raised from below 1 to 1, it leads a flow to several modes. Below 10⁶. Default: 1. */
  readonly inverseTemperature?: number;
}

/** @throws ValueError, ShapeError for wrong arguments. */
export function requireEnergyLoss(
  op: string,
  flow: Flow,
  energy: Energy,
  options: EnergyLossOptions,
  others: readonly string[] = [],
): void {
  requireFlow(op, flow);
  requireEnergy(op, energy);
  const names = ['shape', 'seed', 'context', 'gradient', 'inverseTemperature'];
  requireOptions(op, options, [...names, ...others]);
  const { gradient = 'path', inverseTemperature = 1 } = options;
  requireOneOf(op, 'gradient', gradient, ['path', 'total']);
  requireBetween(op, 'inverseTemperature', inverseTemperature, 0, 1e6);
}

/** Samples of a flow and their latent, with log q(x). */
export interface Drawn {
  readonly z: Tensor;
  readonly x: Tensor;
  readonly logProb: Tensor;
}

/** Draws from a flow. */
export function draw(
  op: string,
  flow: Flow,
  { shape, seed, context }: Pick<EnergyLossOptions, 'shape' | 'seed' | 'context'>,
): Drawn {
  const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
  checkShape(op, shape);
  const contexts = { base: baseContext(flow, context), network: networkContext(flow, context) };
  return tidy(() => {
    const latent = flow.network.outputShape(shape);
    const z = flow.base.sample(latent, { random, context: contexts.base });
    const { x, logdet } = flow.network.inverse(z, contexts.network);
    return { z, x, logProb: sub(flow.base.logProb(z, contexts.base), logdet) };
  });
}

/** What a loss makes of the energies U and log-densities log q of its samples. */
export interface Weighted {
  readonly loss: Tensor;
  /** ∂loss/∂(βU + log q) per sample, [N], or what stands for it in the gradient along the path. */
  readonly weights: Tensor;
}

/**
 * Draws, weighs, and adds the gradients to the parameters: those of Σ wₙ (βUₙ + log qₙ) with w held, in which the path
 * leaves out how log q depends on the parameters for a given x.
 */
export function energyLoss(
  op: string,
  flow: Flow,
  energy: Energy,
  options: EnergyLossOptions,
  weigh: (excess: Tensor) => Weighted,
): Tensor {
  const { context, gradient: kind = 'path', inverseTemperature: beta = 1 } = options;
  return tidy(() => {
    setOnSamples(op, flow, options);
    const { z, x, logProb } = draw(op, flow, options);
    const { value, gradient } = slopeAt(op, energy, x);
    requireFiniteNow(op, value, gradient);
    const { loss, weights } = weigh(add(affine(value, beta), logProb));
    const slope = affine(gradient, beta);
    if (kind === 'total') {
      pull(flow, { z, x, dx: mul(slope, perSample(weights, x)), dlogProb: weights, context });
    } else {
      const each = ones([weights.size], z);
      const { dx } = withoutGradients(flow, () => flow.backward(z, each, context));
      pull(flow, { z, x, dx: mul(add(slope, dx), perSample(weights, x)), context });
    }
    return loss;
  });
}

/** From the gradients of a loss for x and log q(x) to those of the parameters, which are added. */
export function pull(
  flow: Flow,
  {
    z,
    x,
    dx,
    dlogProb,
    context,
  }: { z: Tensor; x: Tensor; dx: Tensor; dlogProb?: Tensor; context: Tensor | undefined },
): void {
  const { network, base } = flow;
  const options = { context: networkContext(flow, context) };
  const dlogdet = dlogProb && neg(dlogProb);
  const { dy } = network.backwardInverse(x, dx, dlogdet ? { ...options, dlogdet } : options);
  const own = baseContext(flow, context);
  const dz = dlogProb ? add(dy, base.backward(z, dlogProb, own).dz) : dy;
  base.backwardSample(z, dz, own);
}

/** Outside of a training step, what awaits data is set on samples, in the direction that makes them. */
export function setOnSamples(
  op: string,
  flow: Flow,
  { shape, context }: Pick<EnergyLossOptions, 'shape' | 'context'>,
): void {
  const { network, base } = flow;
  if (activeStep() || isInitialized(network)) return;
  const latent = network.outputShape(checkShape(op, shape));
  // A stream of its own, so that what is drawn does not depend on whether this happens.
  const random = new RandomStream(0);
  const z = base.sample(latent, { random, context: baseContext(flow, context) });
  initializeSync(reverse(network), z, { context: networkContext(flow, context) });
}
