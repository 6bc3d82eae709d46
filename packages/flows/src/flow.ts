/** Normalizing flows: a bijection and a base distribution. Mathematics: docs/math/flow.md */

import type { Bijection, Parameter } from '@invnet/layers';
import {
  add,
  affine,
  full,
  mean,
  neg,
  RandomStream,
  type Shape,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type BaseDistribution, standardNormal } from './standard-normal.ts';

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
export class Flow {
  readonly network: Bijection;
  readonly base: BaseDistribution;

  constructor(options: { network: Bijection; base?: BaseDistribution }) {
    this.network = options.network;
    this.base = options.base ?? standardNormal();
  }

  get parameters(): readonly Parameter[] {
    return this.network.parameters;
  }

  /** log p(x), or log p(x | context), per sample in nats, shape [N]. */
  logProb(x: Tensor, context?: Tensor): Tensor {
    return tidy(() => {
      const { y, logdet } = this.network.forward(x, context);
      return add(this.base.logProb(y), logdet);
    });
  }

  /** Samples of the given shape. @throws ValueError unless temperature ≥ 0. */
  sample({ shape, seed, temperature = 1, context }: SampleOptions): Tensor {
    if (!(temperature >= 0)) {
      throw new ValueError(`Flow.sample: temperature ${temperature}; expected a number ≥ 0.`);
    }
    const random = typeof seed === 'number' ? new RandomStream(seed) : seed;
    return tidy(() => {
      const z = this.base.sample(shape, random, temperature);
      return this.network.inverse(z, context).x;
    });
  }
}

/**
 * −mean log p(x), or log p(x | context), in nats, shape []; its gradients are added to the parameters by invertible
 * backpropagation, which keeps no state of the forward pass but its output.
 *
 * @example
 * zeroGrad(flow.parameters);
 * const loss = negativeLogLikelihood(flow, x);
 */
export function negativeLogLikelihood(flow: Flow, x: Tensor, context?: Tensor): Tensor {
  const samples = x.shape[0]!;
  const { y, loss, dy } = tidy(() => {
    const { y, logdet } = flow.network.forward(x, context);
    const loss = neg(mean(add(flow.base.logProb(y), logdet)));
    return { y, loss, dy: affine(flow.base.gradient(y), -1 / samples) };
  });
  tidy(() => {
    const dlogdet = full([samples], -1 / samples, x);
    flow.network.backward(y, dy, { dlogdet, context });
    y.dispose();
    dy.dispose();
  });
  return loss;
}
