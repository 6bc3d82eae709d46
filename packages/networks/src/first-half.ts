/** A bijection on part of the channels, the piece that makes networks multi-scale. */

import type { BackwardOptions, Bijection, Parameter, Tangent } from '@invnet/layers';
import { concat, slice, type Tensor, tidy, zerosLike } from '@invnet/tensor';

/**
 * y = (f(x₁), x₂) for x = (x₁, x₂) along channels, x₁ being the first ⌈C/2⌉; f keeps the shape.
 * The channels of x₂ leave the network here, as latent variables of their scale.
 */
export class FirstHalf implements Bijection {
  readonly inner: Bijection;

  constructor(inner: Bijection) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Tensor, context?: Tensor): { y: Tensor; logdet: Tensor } {
    const x1 = firstHalf(x);
    const { y: y1, logdet } = this.inner.forward(x1, context);
    x1.dispose();
    return { y: replaceFirstHalf(x, y1), logdet };
  }

  inverse(y: Tensor, context?: Tensor): { x: Tensor; logdet: Tensor } {
    const y1 = firstHalf(y);
    const { x: x1, logdet } = this.inner.inverse(y1, context);
    y1.dispose();
    return { x: replaceFirstHalf(y, x1), logdet };
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}) {
    const y1 = firstHalf(y);
    const dy1 = firstHalf(dy);
    const { x: x1, dx: dx1, ...rest } = this.inner.backward(y1, dy1, options);
    y1.dispose();
    dy1.dispose();
    return { x: replaceFirstHalf(y, x1), dx: replaceFirstHalf(dy, dx1), ...rest };
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}) {
    const x1 = firstHalf(x);
    const dx1 = firstHalf(dx);
    const { y: y1, dy: dy1, ...rest } = this.inner.backwardInverse(x1, dx1, options);
    x1.dispose();
    dx1.dispose();
    return { y: replaceFirstHalf(x, y1), dy: replaceFirstHalf(dx, dy1), ...rest };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor) {
    const x1 = firstHalf(x);
    const dx1 = tangent.x && firstHalf(tangent.x);
    const { y: y1, dy: dy1, ...rest } = this.inner.jvp(x1, { ...tangent, x: dx1 }, context);
    x1.dispose();
    dx1?.dispose();
    return { y: replaceFirstHalf(x, y1), dy: tangentOf(tangent, dy1, x), ...rest };
  }

  jvpInverse(y: Tensor, tangent: Tangent, context?: Tensor) {
    const y1 = firstHalf(y);
    const dy1 = tangent.x && firstHalf(tangent.x);
    const { x: x1, dx: dx1, ...rest } = this.inner.jvpInverse(y1, { ...tangent, x: dy1 }, context);
    y1.dispose();
    dy1?.dispose();
    return { x: replaceFirstHalf(y, x1), dx: tangentOf(tangent, dx1, y), ...rest };
  }
}

function half(x: Tensor): number {
  return Math.ceil(x.shape[1]! / 2);
}

function firstHalf(x: Tensor): Tensor {
  return slice(x, 1, 0, half(x));
}

/** x with its first half replaced by `part`, which is freed. */
function replaceFirstHalf(x: Tensor, part: Tensor): Tensor {
  return tidy(() => {
    const rest = slice(x, 1, half(x), x.shape[1]! - half(x));
    const result = concat([part, rest], 1);
    part.dispose();
    return result;
  });
}

function tangentOf(tangent: Tangent, part: Tensor, like: Tensor): Tensor {
  if (tangent.x) return replaceFirstHalf(tangent.x, part);
  return tidy(() => {
    const none = zerosLike(like);
    return replaceFirstHalf(none, part);
  });
}
