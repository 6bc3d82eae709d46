/** Networks that see their context through a network of its own. */

import {
  type BackwardOptions,
  Bijection,
  type Conditioner,
  evaluate,
  requireBijection,
  requireConditioner,
  requireModuleOptions,
  type Saved,
  type ShapeOf,
  type State,
  type Tangent,
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
 * those of f with respect to its context, taken back through h. Each backward evaluates h once. A `DeepSet`
 * or a `SetTransformer` summarizes sets of any size.
 *
 * @example
 * const net = new SummarizedNetwork({
 *   network: new ConditionalGlow({ channels: 1, contextChannels: 4 }),
 *   summary: new ResidualBlock({ inChannels: 2, hidden: 32, outChannels: 4 }),
 * });
 * const { y, logdet } = net.forward(x, observations);
 */
export class SummarizedNetwork<S extends State = Tensor> extends Bijection<S> {
  static readonly type: string = 'SummarizedNetwork';
  readonly network: Bijection<S>;
  readonly summary: Conditioner;

  constructor(options: SummarizedNetworkParts<S>) {
    super();
    requireModuleOptions('SummarizedNetwork', options, ['network', 'summary']);
    const { network, summary } = options;
    this.network = requireBijection('SummarizedNetwork', 'network', network);
    if (!network.usesContext) {
      throw new ValueError(
        `SummarizedNetwork: network is a ${network.type} that uses no context; expected one that takes ` +
          'the summary, such as a ConditionalGlow.',
      );
    }
    this.summary = requireConditioner('SummarizedNetwork', 'summary', summary);
  }

  get options() {
    return { network: this.network, summary: this.summary };
  }

  override get stateSize(): 1 | 2 {
    return this.network.stateSize;
  }

  override get usesContext(): boolean {
    return true;
  }

  protected apply(x: S, context?: Tensor) {
    return this.network.forward(x, evaluate(this.summary, required(context)));
  }

  protected invert(y: S, context?: Tensor) {
    return this.network.inverse(y, evaluate(this.summary, required(context)));
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    const { y: summary, saved } = this.summary.forward(required(options.context));
    const result = this.network.backward(y, dy, { ...options, context: summary });
    return this.#throughSummary(result, saved);
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    const { y: summary, saved } = this.summary.forward(required(options.context));
    const result = this.network.backwardInverse(x, dx, { ...options, context: summary });
    return this.#throughSummary(result, saved);
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: summary, dy } = this.#summaryTangent(tangent, context);
    return this.network.jvp(x, { ...tangent, context: dy }, summary);
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: summary, dy } = this.#summaryTangent(tangent, context);
    return this.network.jvpInverse(y, { ...tangent, context: dy }, summary);
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.network.outputShape(x);
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.network.inputShape(y);
  }

  #summaryTangent(tangent: Tangent<S>, context: Tensor | undefined) {
    const { context: x, parameters } = tangent;
    return this.summary.jvp(required(context), { x, parameters });
  }

  /** The result with the context's gradient taken back through the summary. */
  #throughSummary<R extends { dcontext?: Tensor }>(result: R, saved: Saved): R {
    const { dcontext } = result;
    return dcontext ? { ...result, dcontext: this.summary.backward(dcontext, saved).dx } : result;
  }
}

function required(context: Tensor | undefined): Tensor {
  if (context) return context;
  throw new ValueError('SummarizedNetwork: expected a context, got none.');
}
