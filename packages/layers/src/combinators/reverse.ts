/** Reversal: the inverse of a bijection as a bijection. Mathematics: docs/math/combinators/composition.md */
import type { Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection, requireBijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { ShapeOf, State } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/** See `reverse`, which makes it. */
export class Reversed<S extends State = Tensor> extends Bijection<S> {
  static readonly type: string = 'Reversed';
  readonly inner: Bijection<S>;

  constructor(options: { readonly inner: Bijection<S> }) {
    super();
    requireModuleOptions('Reversed', options, ['inner']);
    this.inner = requireBijection('Reversed', 'inner', options.inner);
  }

  get options() {
    return { inner: this.inner };
  }

  override get stateSize(): 1 | 2 {
    return this.inner.stateSize;
  }

  protected apply(x: S, context?: Tensor) {
    const { x: y, logdet } = this.inner.inverse(x, context);
    return { y, logdet };
  }

  protected invert(y: S, context?: Tensor) {
    const { y: x, logdet } = this.inner.forward(y, context);
    return { x, logdet };
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    const { y: x, dy: dx, ...rest } = this.inner.backwardInverse(y, dy, options);
    return { x, dx, ...rest };
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    const { x: y, dx: dy, ...rest } = this.inner.backward(x, dx, options);
    return { y, dy, ...rest };
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { x: y, dx: dy, ...rest } = this.inner.jvpInverse(x, tangent, context);
    return { y, dy, ...rest };
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: x, dy: dx, ...rest } = this.inner.jvp(y, tangent, context);
    return { x, dx, ...rest };
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.inner.inputShape(x);
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.inner.outputShape(y);
  }
}

/**
 * The bijection whose forward is `f`'s inverse. Parts are shared; reversing twice gives `f`.
 *
 * @example reverse(net).forward(z).y // equals net.inverse(z).x
 */
export function reverse<S extends State>(f: Bijection<S>): Bijection<S> {
  return f instanceof Reversed ? f.inner : new Reversed({ inner: f });
}
