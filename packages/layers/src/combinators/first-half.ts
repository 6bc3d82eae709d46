/** A bijection on part of the channels, the piece that makes networks multi-scale. */
import { concat, type Shape, slice, type Tensor, zerosLike } from '@invnet/tensor';
import { type BackwardOptions, Bijection, requireBijection } from '../core/bijection.ts';
import {
  disposeState,
  mapShape,
  mapState,
  type ShapeOf,
  type State,
  zipStates,
} from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/**
 * y = (f(x₁), x₂) for x = (x₁, x₂) along channels, x₁ being the first ⌈C/2⌉; f keeps the shape.
 * The channels of x₂ leave the network here, as latent variables of their scale. Of a pair, each
 * tensor is parted.
 *
 * @example new FirstHalf(new Conv1x1({ channels: 2 })).forward(x) // x [N, 3, …] or [N, 4, …]
 */
export class FirstHalf<S extends State = Tensor> extends Bijection<S> {
  static readonly type: string = 'FirstHalf';
  readonly inner: Bijection<S>;

  constructor(inner: Bijection<S>) {
    super();
    this.inner = requireBijection('FirstHalf', 'inner', inner);
  }

  static build<S extends State>({ inner }: { readonly inner: Bijection<S> }): FirstHalf<S> {
    return new FirstHalf(inner);
  }

  get options() {
    return { inner: this.inner };
  }

  override get stateSize(): 1 | 2 {
    return this.inner.stateSize;
  }

  protected apply(x: S, context?: Tensor) {
    const x1 = firstHalf(x);
    const { y: y1, logdet } = this.inner.forward(x1, context);
    disposeState(x1);
    return { y: replaceFirstHalf(x, y1), logdet };
  }

  protected invert(y: S, context?: Tensor) {
    const y1 = firstHalf(y);
    const { x: x1, logdet } = this.inner.inverse(y1, context);
    disposeState(y1);
    return { x: replaceFirstHalf(y, x1), logdet };
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    const [y1, dy1] = [firstHalf(y), firstHalf(dy)];
    const { x: x1, dx: dx1, ...rest } = this.inner.backward(y1, dy1, options);
    disposeState(y1);
    disposeState(dy1);
    return { x: replaceFirstHalf(y, x1), dx: replaceFirstHalf(dy, dx1), ...rest };
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    const [x1, dx1] = [firstHalf(x), firstHalf(dx)];
    const { y: y1, dy: dy1, ...rest } = this.inner.backwardInverse(x1, dx1, options);
    disposeState(x1);
    disposeState(dx1);
    return { y: replaceFirstHalf(x, y1), dy: replaceFirstHalf(dx, dy1), ...rest };
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    const x1 = firstHalf(x);
    const dx1 = tangent.x && firstHalf(tangent.x);
    const { y: y1, dy: dy1, ...rest } = this.inner.jvp(x1, { ...tangent, x: dx1 }, context);
    return { y: replaceFirstHalf(x, y1), dy: directionOf(tangent, dy1, x), ...rest };
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    const y1 = firstHalf(y);
    const dy1 = tangent.x && firstHalf(tangent.x);
    const { x: x1, dx: dx1, ...rest } = this.inner.jvpInverse(y1, { ...tangent, x: dy1 }, context);
    return { x: replaceFirstHalf(y, x1), dx: directionOf(tangent, dx1, y), ...rest };
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    this.inner.outputShape(mapShape<S>(x, firstHalfOfShape));
    return x;
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    this.inner.inputShape(mapShape<S>(y, firstHalfOfShape));
    return y;
  }
}

function half([, channels]: Shape): number {
  return Math.ceil(channels! / 2);
}

function firstHalfOfShape(shape: Shape): Shape {
  return [shape[0]!, half(shape), ...shape.slice(2)];
}

function firstHalf<S extends State>(x: S): S {
  return mapState(x, (t) => slice(t, 1, 0, half(t.shape)));
}

/** x with its first half replaced by `part`, which is freed. */
function replaceFirstHalf<S extends State>(x: S, part: S): S {
  return zipStates(x, part, (whole, replacement) => {
    const kept = half(whole.shape);
    const rest = slice(whole, 1, kept, whole.shape[1]! - kept);
    const result = concat([replacement, rest], 1);
    replacement.dispose();
    rest.dispose();
    return result;
  });
}

/** The direction of the whole, that of x₂ being zero where x does not move. */
function directionOf<S extends State>(tangent: Tangent<S>, part: S, like: S): S {
  return replaceFirstHalf(tangent.x ?? mapState(like, zerosLike), part);
}
