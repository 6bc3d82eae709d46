/** The map that changes nothing, where a structure has room for one. */
import type { Tensor } from '@invnet/tensor';
import { Bijection } from '../core/bijection.ts';
import type { Tangent } from '../core/tangent.ts';

/** y = x; logdet = 0. */
export class Identity extends Bijection {
  static readonly type: string = 'Identity';

  get options() {
    return {};
  }

  protected apply(x: Tensor) {
    return { y: x };
  }

  protected invert(y: Tensor) {
    return { x: y };
  }

  protected applyBackward(y: Tensor, dy: Tensor) {
    return { x: y, dx: dy };
  }

  protected invertBackward(x: Tensor, dx: Tensor) {
    return { y: x, dy: dx };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return { y: x, dy: tangent.x };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    return { x: y, dx: tangent.x };
  }
}
