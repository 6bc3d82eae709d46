/** Bijections of pairs as bijections of vectors: for what takes one tensor, as flows and checks do. */
import {
  concat,
  formatShape,
  type Shape,
  ShapeError,
  sizeOf,
  split,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import type { Parameter } from './parameter.ts';
import { disposeState, type Pair } from './state.ts';

/** Shapes of the two tensors of a pair, without the batch. */
export type PairShape = readonly [Shape, Shape];

/**
 * f on vectors [N, A + B] that hold both tensors of a pair one behind the other.
 *
 * @example
 * const flat = new Flattened(new ConditionalHint({ channels: 2, ndims: 0 }), [[2], [2]]);
 * const flow = new Flow({ network: flat }); // log p(x, y), x and y joined
 */
export class Flattened implements Bijection {
  readonly inner: Bijection<Pair>;
  readonly inputShape: PairShape;
  readonly outputShape: PairShape;

  /** Shapes of f's argument and of its result, which is the same by default. */
  constructor(inner: Bijection<Pair>, inputShape: PairShape, outputShape = inputShape) {
    this.inner = inner;
    this.inputShape = inputShape;
    this.outputShape = outputShape;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Tensor, context?: Tensor) {
    const pair = unflattenPair(x, this.inputShape);
    const { y, logdet } = this.inner.forward(pair, context);
    disposeState(pair);
    return { y: joined(y), logdet };
  }

  inverse(y: Tensor, context?: Tensor) {
    const pair = unflattenPair(y, this.outputShape);
    const { x, logdet } = this.inner.inverse(pair, context);
    disposeState(pair);
    return { x: joined(x), logdet };
  }

  backward(y: Tensor, dy: Tensor, options?: BackwardOptions) {
    const pair = unflattenPair(y, this.outputShape);
    const gradient = unflattenPair(dy, this.outputShape);
    const { x, dx, ...rest } = this.inner.backward(pair, gradient, options);
    disposeState(pair);
    disposeState(gradient);
    return { x: joined(x), dx: joined(dx), ...rest };
  }

  backwardInverse(x: Tensor, dx: Tensor, options?: BackwardOptions) {
    const pair = unflattenPair(x, this.inputShape);
    const gradient = unflattenPair(dx, this.inputShape);
    const { y, dy, ...rest } = this.inner.backwardInverse(pair, gradient, options);
    disposeState(pair);
    disposeState(gradient);
    return { y: joined(y), dy: joined(dy), ...rest };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor) {
    const pair = unflattenPair(x, this.inputShape);
    const direction = tangent.x && unflattenPair(tangent.x, this.inputShape);
    const { y, dy, ...rest } = this.inner.jvp(pair, { ...tangent, x: direction }, context);
    disposeState(pair);
    if (direction) disposeState(direction);
    return { y: joined(y), dy: joined(dy), ...rest };
  }

  jvpInverse(y: Tensor, tangent: Tangent, context?: Tensor) {
    const pair = unflattenPair(y, this.outputShape);
    const direction = tangent.x && unflattenPair(tangent.x, this.outputShape);
    const { x, dx, ...rest } = this.inner.jvpInverse(pair, { ...tangent, x: direction }, context);
    disposeState(pair);
    if (direction) disposeState(direction);
    return { x: joined(x), dx: joined(dx), ...rest };
  }
}

/** The vectors [N, A + B] that hold a pair; the pair is kept. */
export function flattenPair(pair: Pair): Tensor {
  return tidy(() =>
    concat(
      pair.map((t) => t.reshape([t.shape[0]!, -1])),
      1,
    ),
  );
}

/** The pair that vectors hold. @throws ShapeError unless they have its size. */
export function unflattenPair(flat: Tensor, [first, second]: PairShape): Pair {
  const sizes = [sizeOf(first), sizeOf(second)];
  if (flat.rank !== 2 || flat.shape[1] !== sizes[0]! + sizes[1]!) {
    throw new ShapeError(
      `Flattened: got ${formatShape(flat.shape)}; expected [N, ${sizes[0]! + sizes[1]!}], ` +
        `${formatShape(first)} and ${formatShape(second)} per sample.`,
    );
  }
  return tidy(() => {
    const [a, b] = split(flat, 1, sizes);
    const n = flat.shape[0]!;
    return [a!.reshape([n, ...first]), b!.reshape([n, ...second])] as const;
  });
}

/** Flattens and frees. */
function joined(pair: Pair): Tensor {
  const flat = flattenPair(pair);
  disposeState(pair);
  return flat;
}
