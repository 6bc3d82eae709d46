/** Normalizing flows: a bijection and a base distribution. Mathematics: docs/math/flows/flow.md */

import {
  activeStep,
  type Bijection,
  initializeSync,
  Module,
  outsideSteps,
  requireBijection,
  requireModuleOptions,
  withoutLogdet,
} from '@invnet/layers';
import {
  add,
  affine,
  formatShape,
  formatValue,
  full,
  mean,
  mul,
  neg,
  RandomStream,
  requireAtLeast,
  requireOptions,
  requireTensor,
  type Shape,
  ShapeError,
  sum,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type BaseDistribution, requireBase } from './bases/base-distribution.ts';
import { StandardNormal } from './bases/standard-normal.ts';

/** What to sample. */
export interface SampleOptions {
  /** Shape of the samples, batch first. */
  readonly shape: Shape;
  /** Seed of the latent variables; or a stream that moves on. */
  readonly seed: number | RandomStream;
  /** Scales the base's deviation; below 1, samples lie closer to the mode. Default: 1. */
  readonly temperature?: number;
  /** What the network and the base take as their context, for each of the samples or one for all. */
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
    this.base = requireBase('Flow', 'base', options.base ?? new StandardNormal());
  }

  get options() {
    return { network: this.network, base: this.base };
  }

  /** The shape of f(x) for that of x. @throws ShapeError */
  outputShape(x: Shape): Shape {
    return this.network.outputShape(x);
  }

  /** Does the density depend on a context? The network or the base may use it, or both. */
  get usesContext(): boolean {
    return this.network.usesContext || this.base.usesContext;
  }

  /** log p(x), or log p(x | context), per sample in nats, shape [N]. */
  logProb(x: Tensor, context?: Tensor): Tensor {
    return outsideSteps(() => tidy(() => this.forward(x, context).logProb));
  }

  /**
   * The latent z = f(x), and log p(x) as `logProb`; in a training step, what depends on data sets itself. For losses of
   * one's own.
   *
   * @example
   * const { z, logProb } = flow.forward(x);
   * const { dx } = flow.backward(z, full([N], -1 / N)); // of −mean log p(x)
   */
  forward(x: Tensor, context?: Tensor): { z: Tensor; logProb: Tensor } {
    return tidy(() => {
      const { y: z, logdet } = this.network.forward(x, networkContext(this, context));
      return { z, logProb: add(this.base.logProb(z, baseContext(this, context)), logdet) };
    });
  }

  /**
   * From z = f(x) the gradients of Σ dlogProb · log p(x), for x and the context; adds to each parameter's grad. x is
   * recomputed on the way.
   *
   * @param dlogProb ∂loss/∂ log p(x) per sample, shape [N]
   */
  backward(
    z: Tensor,
    dlogProb: Tensor,
    context?: Tensor,
  ): { x: Tensor; dx: Tensor; dcontext?: Tensor } {
    return tidy(() => {
      const { dz, dcontext } = this.base.backward(z, dlogProb, baseContext(this, context));
      const options = { dlogdet: dlogProb, context: networkContext(this, context) };
      const back = this.network.backward(z, dz, options);
      const sum = dcontext && back.dcontext ? add(dcontext, back.dcontext) : undefined;
      const all = sum ?? dcontext ?? back.dcontext;
      return { x: back.x, dx: back.dx, ...(all && { dcontext: all }) };
    });
  }

  /** Samples of the given shape. @throws ValueError unless the temperature is finite and not negative. */
  sample(options: SampleOptions): Tensor {
    requireOptions('Flow.sample', options, ['shape', 'seed', 'temperature', 'context']);
    const { shape, seed, temperature = 1, context } = options;
    requireAtLeast('Flow.sample', 'temperature', temperature, 0);
    const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
    return outsideSteps(() =>
      tidy(() => {
        const z = this.base.sample(this.network.outputShape(shape), {
          random,
          temperature,
          context: baseContext(this, context),
        });
        return withoutLogdet(() => this.network.inverse(z, networkContext(this, context)).x);
      }),
    );
  }
}

/**
 * −mean log p(x), or log p(x | context), in nats, shape []; its gradients are added to the parameters
 * by invertible backpropagation, which keeps no state of the forward pass but its output; within `keeping`, what
 * that says. With weights w, −mean w log p(x): of mean 1 over the data, as importance weights are over their mean, they
 * fit a flow to other data than those that were seen.
 *
 * A training loss: a network that was not initialized is, on x, before anything else (`initialize`).
 *
 * @param weights one number for each sample, [N], not negative. Default: 1 each.
 * @throws ValueError when that meets data that are not finite; nothing has changed then.
 * @throws ShapeError for weights of another shape.
 * @throws BackendError when it must, and the backend cannot read x at once: `await initialize(…)`.
 * @example
 * zeroGrad(flow.parameters);
 * const loss = negativeLogLikelihood(flow, x);
 * const sooner = keeping('inputs', () => negativeLogLikelihood(flow, x)); // ¾ of the time, more memory
 */
export function negativeLogLikelihood(
  flow: Flow,
  x: Tensor,
  context?: Tensor,
  weights?: Tensor,
): Tensor {
  requireFlow('negativeLogLikelihood', flow);
  const { network, base } = flow;
  const own = networkContext(flow, context);
  // Within a training step layers set themselves as they meet the data.
  if (!activeStep()) initializeSync(flow, x, { context });
  const samples = requireTensor('negativeLogLikelihood', x, 'x').shape[0]!;
  if (weights !== undefined) requireWeights(weights, samples);
  return tidy(() => {
    const dlogProb = weights ? affine(weights, -1 / samples) : full([samples], -1 / samples, x);
    // What only the loss needs is freed before the gradients are computed.
    const { y, loss, dz } = tidy(() => {
      const { y, logdet } = network.forward(x, own);
      const { logProb, dz } = base.backward(y, dlogProb, baseContext(flow, context));
      const all = add(logProb, logdet);
      return { y, loss: weights ? sum(mul(all, dlogProb)) : neg(mean(all)), dz };
    });
    network.backward(y, dz, { dlogdet: dlogProb, context: own });
    return loss;
  });
}

function requireWeights(weights: Tensor, samples: number): void {
  const { shape } = requireTensor('negativeLogLikelihood', weights, 'weights');
  if (shape.length === 1 && shape[0] === samples) return;
  throw new ShapeError(
    `negativeLogLikelihood: weights are ${formatShape(shape)}; expected one for each sample, [${samples}].`,
  );
}

/** The flow itself. @throws ValueError unless it is one. */
export function requireFlow(op: string, flow: Flow): Flow {
  if (flow instanceof Flow) return flow;
  throw new ValueError(`${op}: got ${formatValue(flow)}; expected a Flow.`);
}

/** A context for the network: what it uses, or what nothing uses, which it says is an error. */
export function networkContext(
  { network, base }: Flow,
  context: Tensor | undefined,
): Tensor | undefined {
  return network.usesContext || !base.usesContext ? context : undefined;
}

/** A context for the base, where it uses one. */
export function baseContext({ base }: Flow, context: Tensor | undefined): Tensor | undefined {
  return base.usesContext ? context : undefined;
}
