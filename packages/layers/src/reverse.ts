/** Reversal: the inverse of a bijection as a bijection. Mathematics: docs/math/composition.md */

import type { Tensor } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';
import type { State } from './state.ts';

class Reversed<S extends State> implements Bijection<S> {
  readonly inner: Bijection<S>;

  constructor(inner: Bijection<S>) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    const { x: y, logdet } = this.inner.inverse(x, context);
    return { y, logdet };
  }

  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    const { y: x, logdet } = this.inner.forward(y, context);
    return { x, logdet };
  }

  backward(y: S, dy: S, options: BackwardOptions = {}) {
    const { y: x, dy: dx, ...rest } = this.inner.backwardInverse(y, dy, options);
    return { x, dx, ...rest };
  }

  backwardInverse(x: S, dx: S, options: BackwardOptions = {}) {
    const { x: y, dx: dy, ...rest } = this.inner.backward(x, dx, options);
    return { y, dy, ...rest };
  }

  jvp(x: S, tangent: Tangent<S>, context?: Tensor) {
    const { x: y, dx: dy, ...rest } = this.inner.jvpInverse(x, tangent, context);
    return { y, dy, ...rest };
  }

  jvpInverse(y: S, tangent: Tangent<S>, context?: Tensor) {
    const { y: x, dy: dx, ...rest } = this.inner.jvp(y, tangent, context);
    return { x, dx, ...rest };
  }
}

/**
 * The bijection whose forward is `f`'s inverse. Parameters are shared; reversing twice gives `f`.
 *
 * @example reverse(net).forward(z).y // equals net.inverse(z).x
 */
export function reverse<S extends State>(f: Bijection<S>): Bijection<S> {
  return f instanceof Reversed ? f.inner : new Reversed(f);
}
