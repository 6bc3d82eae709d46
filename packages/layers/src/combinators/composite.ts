/** Bijections that are defined by others: what they are made of, and in which composition. */
import type { Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import type { ShapeOf, State } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/**
 * A bijection that computes what `whole` does. Its fields are its parts, and `whole` puts them
 * together; it is asked at each call, so that it always has the parts of now.
 *
 * @example
 * class Sandwich extends Composite {
 *   static readonly type: string = 'Sandwich';
 *   readonly mix = new Conv1x1({ channels: 4 });
 *   readonly coupling = new GlowCoupling({ channels: 4 });
 *   get options() { return {}; }
 *   protected get whole() { return compose(this.mix, this.coupling, reverse(this.mix)); }
 * }
 */
export abstract class Composite<S extends State = Tensor> extends Bijection<S> {
  /** The composition of this module's parts. */
  protected abstract get whole(): Bijection<S>;

  override get stateSize(): 1 | 2 {
    return this.whole.stateSize;
  }

  override get usesContext(): boolean {
    return this.whole.usesContext;
  }

  protected apply(x: S, context?: Tensor) {
    return this.whole.forward(x, context);
  }

  protected invert(y: S, context?: Tensor) {
    return this.whole.inverse(y, context);
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    return this.whole.backward(y, dy, options);
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    return this.whole.backwardInverse(x, dx, options);
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    return this.whole.jvp(x, tangent, context);
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    return this.whole.jvpInverse(y, tangent, context);
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.whole.outputShape(x);
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.whole.inputShape(y);
  }
}
