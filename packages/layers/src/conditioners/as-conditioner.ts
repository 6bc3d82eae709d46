/** A bijection in the place of a conditioner: for contexts that are squeezed or normalized. */
import type { Shape, Tensor } from '@invnet/tensor';
import { type Bijection, requireBijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';

/** See `asConditioner`, which makes it. It keeps its result, of which `backward` goes on. */
export class AsConditioner extends Conditioner<Tensor> {
  static readonly type: string = 'AsConditioner';
  readonly inner: Bijection;

  constructor(options: { readonly inner: Bijection }) {
    super();
    requireModuleOptions('AsConditioner', options, ['inner']);
    this.inner = requireBijection('AsConditioner', 'inner', options.inner, 1);
  }

  get options() {
    return { inner: this.inner };
  }

  /** A context is not passed on. */
  override get usesContext(): boolean {
    return false;
  }

  protected apply(x: Tensor) {
    const { y } = this.inner.forward(x);
    return { y, saved: y };
  }

  protected applyBackward(dy: Tensor, y: Tensor) {
    return { dx: this.inner.backward(y, dy).dx };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return this.inner.jvp(x, { x: tangent.x, parameters: tangent.parameters });
  }

  protected applyShape(x: Shape): Shape {
    return this.inner.outputShape(x);
  }
}

/**
 * g(x) = f(x), the log-determinant left aside.
 *
 * @example asConditioner(new HaarSqueeze()).forward(context)
 */
export function asConditioner(f: Bijection): AsConditioner {
  return new AsConditioner({ inner: f });
}
