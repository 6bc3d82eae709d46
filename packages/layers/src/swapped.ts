/** A bijection of pairs that takes and gives its pair the other way round. */
import type { Tensor } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';
import type { Pair } from './state.ts';

/** (a, b) ↦ (y₂, y₁) with (y₁, y₂) = f(b, a). */
export class Swapped implements Bijection<Pair> {
  readonly inner: Bijection<Pair>;

  constructor(inner: Bijection<Pair>) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Pair, context?: Tensor) {
    const { y, logdet } = this.inner.forward(swap(x), context);
    return { y: swap(y), logdet };
  }

  inverse(y: Pair, context?: Tensor) {
    const { x, logdet } = this.inner.inverse(swap(y), context);
    return { x: swap(x), logdet };
  }

  backward(y: Pair, dy: Pair, options?: BackwardOptions) {
    const { x, dx, ...rest } = this.inner.backward(swap(y), swap(dy), options);
    return { x: swap(x), dx: swap(dx), ...rest };
  }

  backwardInverse(x: Pair, dx: Pair, options?: BackwardOptions) {
    const { y, dy, ...rest } = this.inner.backwardInverse(swap(x), swap(dx), options);
    return { y: swap(y), dy: swap(dy), ...rest };
  }

  jvp(x: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const { y, dy, ...rest } = this.inner.jvp(swap(x), swapTangent(tangent), context);
    return { y: swap(y), dy: swap(dy), ...rest };
  }

  jvpInverse(y: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const { x, dx, ...rest } = this.inner.jvpInverse(swap(y), swapTangent(tangent), context);
    return { x: swap(x), dx: swap(dx), ...rest };
  }
}

function swap([a, b]: Pair): Pair {
  return [b, a];
}

function swapTangent(tangent: Tangent<Pair>): Tangent<Pair> {
  return { ...tangent, x: tangent.x && swap(tangent.x) };
}
