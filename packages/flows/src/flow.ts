/** Normalizing flows: a bijection and a base distribution. Mathematics: docs/math/flows/flow.md */

import {
  activeStep,
  type Bijection,
  initializeSync,
  Module,
  outsideSteps,
  requireBijection,
  requireModuleOptions,
} from '@invnet/layers';
import {
  add,
  affine,
  formatValue,
  full,
  mean,
  neg,
  RandomStream,
  requireAtLeast,
  requireOptions,
  requireTensor,
  type Shape,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { BaseDistribution, StandardNormal } from './standard-normal.ts';

/** What to sample. */
export interface SampleOptions {
  /** Shape of the samples, batch first. */
  readonly shape: Shape;
  /** Seed of the latent variables; or a stream that moves on. */
  readonly seed: number | RandomStream;
  /** Scales the base's deviation; below 1, samples lie closer to the mode. Default: 1. */
  readonly temperature?: number;
  /** What the network takes as its context, for each of the samples. */
  readonly context?: Tensor;
}

/**
 * The distribution of x = f⁻¹(z) with z from the base: log p(x) = log p(f(x)) + log|det ∂f/∂x|.
 *
 * @example
 * const flow = new Flow({ network: new Glow({ channels: 1, scales: 2 }) });
 * const x = flow.sample({ shape: [16, 1, 28, 28], seed: 7, temperature: 0.8 });
 */
export class Flow extends Module {
  static readonly type: string = 'Flow';
  readonly network: Bijection;
  readonly base: BaseDistribution;

  constructor(options: { network: Bijection; base?: BaseDistribution }) {
    super();
    requireModuleOptions('Flow', options, ['network', 'base']);
    this.network = requireBijection('Flow', 'network', options.network, 1);
    this.base = options.base ?? new StandardNormal();
    if (this.base instanceof BaseDistribution) return;
    throw new ValueError(`Flow: base is ${formatValue(this.base)}; expected a base distribution.`);
  }

  get options() {
    return { network: this.network, base: this.base };
  }

  /** The shape of f(x) for that of x. @throws ShapeError */
  outputShape(x: Shape): Shape {
    return this.network.outputShape(x);
  }

  /** log p(x), or log p(x | context), per sample in nats, shape [N]. */
  logProb(x: Tensor, context?: Tensor): Tensor {
    return outsideSteps(() =>
      tidy(() => {
        const { y, logdet } = this.network.forward(x, context);
        return add(this.base.logProb(y), logdet);
      }),
    );
  }

  /** Samples of the given shape. @throws ValueError unless the temperature is finite and not negative. */
  sample(options: SampleOptions): Tensor {
    requireOptions('Flow.sample', options, ['shape', 'seed', 'temperature', 'context']);
    const { shape, seed, temperature = 1, context } = options;
    requireAtLeast('Flow.sample', 'temperature', temperature, 0);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    return outsideSteps(() =>
      tidy(() => {
        const z = this.base.sample(this.network.outputShape(shape), random, temperature);
        return this.network.inverse(z, context).x;
      }),
    );
  }
}

/**
 * −mean log p(x), or log p(x | context), in nats, shape []; its gradients are added to the parameters
 * by invertible backpropagation, which keeps no state of the forward pass but its output; within `keeping`, what
 * that says.
 *
 * A training loss: a network that was not initialized is, on x, before anything else (`initialize`).
 *
 * @throws ValueError when that meets data that are not finite; nothing has changed then.
 * @throws BackendError when it must, and the backend cannot read x at once: `await initialize(…)`.
 * @example
 * zeroGrad(flow.parameters);
 * const loss = negativeLogLikelihood(flow, x);
 * const sooner = keeping('inputs', () => negativeLogLikelihood(flow, x)); // ¾ of the time, more memory
 */
export function negativeLogLikelihood(flow: Flow, x: Tensor, context?: Tensor): Tensor {
  if (!(flow instanceof Flow)) {
    throw new ValueError(`negativeLogLikelihood: got ${formatValue(flow)}; expected a Flow.`);
  }
  const { network, base } = flow;
  // Within a training step layers set themselves as they meet the data.
  if (!activeStep()) initializeSync(network, x, { context });
  const samples = requireTensor('negativeLogLikelihood', x, 'x').shape[0]!;
  return tidy(() => {
    // What only the loss needs is freed before the gradients are computed.
    const { y, loss, dy } = tidy(() => {
      const { y, logdet } = network.forward(x, context);
      const loss = neg(mean(add(base.logProb(y), logdet)));
      return { y, loss, dy: affine(base.gradient(y), -1 / samples) };
    });
    network.backward(y, dy, { dlogdet: full([samples], -1 / samples, x), context });
    return loss;
  });
}
