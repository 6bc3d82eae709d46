/** The map that changes nothing, where a structure has room for one. */
import { clone, type Tensor, zerosLike } from '@invnet/tensor';
import type { Bijection, Tangent } from './bijection.ts';
import { requireTangent, zeroLogdet } from './checks.ts';
import type { Parameter } from './parameter.ts';

/** y = x; logdet = 0. Results are copies, which belong to the caller. */
export class Identity implements Bijection {
  readonly parameters: readonly Parameter[] = [];

  forward(x: Tensor) {
    return { y: clone(x), logdet: zeroLogdet(x) };
  }

  inverse(y: Tensor) {
    return { x: clone(y), logdet: zeroLogdet(y) };
  }

  backward(y: Tensor, dy: Tensor) {
    return { x: clone(y), dx: clone(dy) };
  }

  backwardInverse(x: Tensor, dx: Tensor) {
    return { y: clone(x), dy: clone(dx) };
  }

  jvp(x: Tensor, tangent: Tangent) {
    requireTangent('Identity', x, tangent, this.parameters);
    const dy = tangent.x ? clone(tangent.x) : zerosLike(x);
    return { y: clone(x), dy, logdet: zeroLogdet(x), dlogdet: zeroLogdet(x) };
  }

  jvpInverse(y: Tensor, tangent: Tangent) {
    requireTangent('Identity', y, tangent, this.parameters);
    const { y: x, dy: dx, ...rest } = this.jvp(y, tangent);
    return { x, dx, ...rest };
  }
}
