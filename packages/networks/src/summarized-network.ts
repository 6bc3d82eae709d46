/** Networks that see their context through a network of its own. */

import type {
  BackwardOptions,
  Bijection,
  Conditioner,
  Parameter,
  Saved,
  State,
  Tangent,
} from '@invnet/layers';
import { type Tensor, ValueError } from '@invnet/tensor';

/** The parts of a `SummarizedNetwork`. */
export interface SummarizedNetworkParts<S extends State> {
  /** Takes the summary as its context. */
  readonly network: Bijection<S>;
  /** Makes the summary of the context; any conditioner, trained with the network. */
  readonly summary: Conditioner;
}

/**
 * x ↦ f(x, h(context)) with a summary network h (Radev et al., "BayesFlow", 2020): its gradients are
 * those of f with respect to its context, taken back through h. Each backward evaluates h once.
 *
 * @example
 * const net = new SummarizedNetwork({
 *   network: new ConditionalGlow({ channels: 1, contextChannels: 4 }),
 *   summary: new ResidualBlock({ inChannels: 2, hidden: 32, outChannels: 4 }),
 * });
 * const { y, logdet } = net.forward(x, observations);
 */
export class SummarizedNetwork<S extends State = Tensor> implements Bijection<S> {
  readonly network: Bijection<S>;
  readonly summary: Conditioner;
  readonly parameters: readonly Parameter[];

  constructor({ network, summary }: SummarizedNetworkParts<S>) {
    this.network = network;
    this.summary = summary;
    this.parameters = [...new Set([...network.parameters, ...summary.parameters])];
  }

  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    const { y: summary, saved } = this.summary.forward(required(context));
    saved.dispose();
    const result = this.network.forward(x, summary);
    summary.dispose();
    return result;
  }

  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    const { y: summary, saved } = this.summary.forward(required(context));
    saved.dispose();
    const result = this.network.inverse(y, summary);
    summary.dispose();
    return result;
  }

  backward(y: S, dy: S, options: BackwardOptions = {}) {
    const { y: summary, saved } = this.summary.forward(required(options.context));
    const result = this.network.backward(y, dy, { ...options, context: summary });
    return this.#throughSummary(result, summary, saved);
  }

  backwardInverse(x: S, dx: S, options: BackwardOptions = {}) {
    const { y: summary, saved } = this.summary.forward(required(options.context));
    const result = this.network.backwardInverse(x, dx, { ...options, context: summary });
    return this.#throughSummary(result, summary, saved);
  }

  jvp(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: summary, dy } = this.#summaryTangent(tangent, context);
    const result = this.network.jvp(x, { ...tangent, context: dy }, summary);
    summary.dispose();
    dy.dispose();
    return result;
  }

  jvpInverse(y: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: summary, dy } = this.#summaryTangent(tangent, context);
    const result = this.network.jvpInverse(y, { ...tangent, context: dy }, summary);
    summary.dispose();
    dy.dispose();
    return result;
  }

  #summaryTangent(tangent: Tangent<S>, context: Tensor | undefined) {
    const { context: x, parameters } = tangent;
    return this.summary.jvp(required(context), { x, parameters });
  }

  /** The result with the context's gradient taken back through the summary; frees the rest. */
  #throughSummary<R extends { dcontext?: Tensor }>(result: R, summary: Tensor, saved: Saved): R {
    const { dcontext } = result;
    const through = dcontext && this.summary.backward(dcontext, saved).dx;
    dcontext?.dispose();
    saved.dispose();
    summary.dispose();
    return through ? { ...result, dcontext: through } : result;
  }
}

function required(context: Tensor | undefined): Tensor {
  if (context) return context;
  throw new ValueError('SummarizedNetwork: expected a context, got none.');
}
