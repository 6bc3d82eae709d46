/** Reversal: the inverse of a bijection as a bijection. Mathematics: docs/math/composition.md */

import type { BackwardOptions, Bijection, Parameter, Tangent } from '@invnet/layers';
import type { Tensor } from '@invnet/tensor';

class Reversed implements Bijection {
  readonly inner: Bijection;

  constructor(inner: Bijection) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Tensor, context?: Tensor): { y: Tensor; logdet: Tensor } {
    const { x: y, logdet } = this.inner.inverse(x, context);
    return { y, logdet };
  }

  inverse(y: Tensor, context?: Tensor): { x: Tensor; logdet: Tensor } {
    const { y: x, logdet } = this.inner.forward(y, context);
    return { x, logdet };
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}) {
    const { y: x, dy: dx, ...rest } = this.inner.backwardInverse(y, dy, options);
    return { x, dx, ...rest };
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}) {
    const { x: y, dx: dy, ...rest } = this.inner.backward(x, dx, options);
    return { y, dy, ...rest };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { x: y, dx: dy, ...rest } = this.inner.jvpInverse(x, tangent, context);
    return { y, dy, ...rest };
  }

  jvpInverse(y: Tensor, tangent: Tangent, context?: Tensor) {
    const { y: x, dy: dx, ...rest } = this.inner.jvp(y, tangent, context);
    return { x, dx, ...rest };
  }
}

/**
 * The bijection whose forward is `f`'s inverse. Parameters are shared; reversing twice gives `f`.
 *
 * @example reverse(net).forward(z).y // equals net.inverse(z).x
 */
export function reverse(f: Bijection): Bijection {
  return f instanceof Reversed ? f.inner : new Reversed(f);
}
