/** A bijection on part of the channels, the piece that makes networks multi-scale. */

import {
  type BackwardOptions,
  type Bijection,
  disposeState,
  mapState,
  type Parameter,
  type State,
  type Tangent,
  zipStates,
} from '@invnet/layers';
import { concat, slice, type Tensor, zerosLike } from '@invnet/tensor';

/**
 * y = (f(x₁), x₂) for x = (x₁, x₂) along channels, x₁ being the first ⌈C/2⌉; f keeps the shape.
 * The channels of x₂ leave the network here, as latent variables of their scale. Of a pair, each
 * tensor is parted.
 */
export class FirstHalf<S extends State = Tensor> implements Bijection<S> {
  readonly inner: Bijection<S>;

  constructor(inner: Bijection<S>) {
    this.inner = inner;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    const x1 = firstHalf(x);
    const { y: y1, logdet } = this.inner.forward(x1, context);
    disposeState(x1);
    return { y: replaceFirstHalf(x, y1), logdet };
  }

  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    const y1 = firstHalf(y);
    const { x: x1, logdet } = this.inner.inverse(y1, context);
    disposeState(y1);
    return { x: replaceFirstHalf(y, x1), logdet };
  }

  backward(y: S, dy: S, options: BackwardOptions = {}) {
    const y1 = firstHalf(y);
    const dy1 = firstHalf(dy);
    const { x: x1, dx: dx1, ...rest } = this.inner.backward(y1, dy1, options);
    disposeState(y1);
    disposeState(dy1);
    return { x: replaceFirstHalf(y, x1), dx: replaceFirstHalf(dy, dx1), ...rest };
  }

  backwardInverse(x: S, dx: S, options: BackwardOptions = {}) {
    const x1 = firstHalf(x);
    const dx1 = firstHalf(dx);
    const { y: y1, dy: dy1, ...rest } = this.inner.backwardInverse(x1, dx1, options);
    disposeState(x1);
    disposeState(dx1);
    return { y: replaceFirstHalf(x, y1), dy: replaceFirstHalf(dx, dy1), ...rest };
  }

  jvp(x: S, tangent: Tangent<S>, context?: Tensor) {
    const x1 = firstHalf(x);
    const dx1 = tangent.x && firstHalf(tangent.x);
    const { y: y1, dy: dy1, ...rest } = this.inner.jvp(x1, { ...tangent, x: dx1 }, context);
    disposeState(x1);
    if (dx1) disposeState(dx1);
    return { y: replaceFirstHalf(x, y1), dy: tangentOf(tangent, dy1, x), ...rest };
  }

  jvpInverse(y: S, tangent: Tangent<S>, context?: Tensor) {
    const y1 = firstHalf(y);
    const dy1 = tangent.x && firstHalf(tangent.x);
    const { x: x1, dx: dx1, ...rest } = this.inner.jvpInverse(y1, { ...tangent, x: dy1 }, context);
    disposeState(y1);
    if (dy1) disposeState(dy1);
    return { x: replaceFirstHalf(y, x1), dx: tangentOf(tangent, dx1, y), ...rest };
  }
}

function half(x: Tensor): number {
  return Math.ceil(x.shape[1]! / 2);
}

function firstHalf<S extends State>(x: S): S {
  return mapState(x, (t) => slice(t, 1, 0, half(t)));
}

/** x with its first half replaced by `part`, which is freed. */
function replaceFirstHalf<S extends State>(x: S, part: S): S {
  return zipStates(x, part, (whole, replacement) => {
    const rest = slice(whole, 1, half(whole), whole.shape[1]! - half(whole));
    const result = concat([replacement, rest], 1);
    replacement.dispose();
    rest.dispose();
    return result;
  });
}

function tangentOf<S extends State>(tangent: Tangent<S>, part: S, like: S): S {
  if (tangent.x) return replaceFirstHalf(tangent.x, part);
  const none = mapState(like, zerosLike);
  const result = replaceFirstHalf(none, part);
  disposeState(none);
  return result;
}
