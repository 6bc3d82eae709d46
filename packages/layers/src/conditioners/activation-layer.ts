/** An activation as a conditioner, for chains. Mathematics: docs/math/conditioners/chain.md */
import type { Shape, Tensor } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';

/** Options of `ActivationLayer`. */
export interface ActivationLayerOptions {
  /** f, such as `relu()` or `gelu()`. */
  readonly activation: Activation;
}

/** What its backward needs: x and f(x). */
interface SavedActivation {
  readonly x: Tensor;
  readonly y: Tensor;
}

/**
 * y = f(x), element by element, on any shape. `chain` makes it of an activation.
 *
 * @example new ActivationLayer({ activation: gelu() }).forward(x)
 */
export class ActivationLayer extends Conditioner<SavedActivation> {
  static readonly type: string = 'ActivationLayer';
  readonly options: { readonly activation: Activation };

  /** @throws ValueError for what is no activation. */
  constructor(options: ActivationLayerOptions) {
    super();
    requireModuleOptions('ActivationLayer', options, ['activation']);
    const { activation } = options;
    this.options = {
      activation: requireActivation('ActivationLayer', 'activation', activation),
    };
  }

  protected apply(x: Tensor) {
    const y = this.options.activation.apply(x);
    return { y, saved: { x, y } };
  }

  protected applyBackward(dy: Tensor, { x, y }: SavedActivation) {
    return { dx: this.options.activation.grad(y, dy, x) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    const { activation } = this.options;
    const y = activation.apply(x);
    return { y, dy: dx && activation.grad(y, dx, x) };
  }

  protected applyShape(x: Shape): Shape {
    return x;
  }
}
