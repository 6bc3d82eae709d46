/** Bijections of pairs as bijections of vectors: for what takes one tensor, as flows and checks do. */
import {
  checkShape,
  concat,
  formatShape,
  formatValue,
  requireList,
  requireTensor,
  type Shape,
  ShapeError,
  sizeOf,
  split,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { requireState } from '../core/arguments.ts';
import type { Bijection } from '../core/bijection.ts';
import type { Pair } from '../core/state.ts';
import { Rearranged, type Side } from './rearranged.ts';

/** Shapes of the two tensors of a pair, without the batch. */
export type PairShape = readonly [Shape, Shape];

/**
 * f on vectors [N, A + B] that hold both tensors of a pair one behind the other.
 *
 * @example
 * const flat = new Flattened(new ConditionalHint({ channels: 2, ndims: 0 }), [[2], [2]]);
 * const flow = new Flow({ network: flat }); // log p(x, y), x and y joined
 */
export class Flattened extends Rearranged<Tensor, Pair> {
  static readonly type: string = 'Flattened';
  readonly inputShapes: PairShape;
  readonly outputShapes: PairShape;

  /** Shapes of f's argument and of its result, which is the same by default. */
  constructor(inner: Bijection<Pair>, inputShapes: PairShape, outputShapes = inputShapes) {
    super(inner, 2);
    requirePairShape('Flattened', 'inputShapes', inputShapes);
    requirePairShape('Flattened', 'outputShapes', outputShapes);
    this.inputShapes = inputShapes;
    this.outputShapes = outputShapes;
  }

  static build(options: {
    readonly inner: Bijection<Pair>;
    readonly inputShapes: PairShape;
    readonly outputShapes: PairShape;
  }): Flattened {
    return new Flattened(options.inner, options.inputShapes, options.outputShapes);
  }

  get options() {
    const { inner, inputShapes, outputShapes } = this;
    return { inner, inputShapes, outputShapes };
  }

  protected enter(x: Tensor, side: Side): Pair {
    return unflattenPair(x, this.#shapes(side));
  }

  protected leave(pair: Pair): Tensor {
    return flattenPair(pair);
  }

  protected enterShape(x: Shape, side: Side): readonly [Shape, Shape] {
    const [first, second] = requireFlat(x, this.#shapes(side));
    return [
      [x[0]!, ...first],
      [x[0]!, ...second],
    ];
  }

  protected leaveShape([[n, ...first], [, ...second]]: readonly [Shape, Shape]): Shape {
    return [n!, sizeOf(first) + sizeOf(second)];
  }

  #shapes(side: Side): PairShape {
    return side === 'input' ? this.inputShapes : this.outputShapes;
  }
}

/** The vectors [N, A + B] that hold a pair; the pair is kept. */
export function flattenPair(pair: Pair): Tensor {
  requireState(['flattenPair'], pair, 2);
  return tidy(() =>
    concat(
      pair.map((t) => t.reshape([t.shape[0]!, -1])),
      1,
    ),
  );
}

/** The pair that vectors hold. @throws ShapeError unless they have its size. */
export function unflattenPair(flat: Tensor, shapes: PairShape): Pair {
  requireTensor('unflattenPair', flat);
  requirePairShape('unflattenPair', 'shapes', shapes);
  return tidy(() => {
    const [first, second] = requireFlat(flat.shape, shapes);
    const n = flat.shape[0]!;
    const [a, b] = split(flat, 1, [sizeOf(first), sizeOf(second)]);
    return [a!.reshape([n, ...first]), b!.reshape([n, ...second])] as const;
  });
}

/** @throws ValueError, ShapeError unless it is a pair of shapes. */
export function requirePairShape(op: string, name: string, shapes: PairShape): void {
  requireList(op, name, shapes);
  if (shapes.length !== 2) {
    throw new ValueError(`${op}: ${name} is ${formatValue(shapes)}; expected a pair of shapes.`);
  }
  for (const shape of shapes) checkShape(op, shape);
}

function requireFlat(flat: Shape, [first, second]: PairShape): PairShape {
  const size = sizeOf(first) + sizeOf(second);
  if (flat.length === 2 && flat[1] === size) return [first, second];
  throw new ShapeError(
    `Flattened: got ${formatShape(flat)}; expected [N, ${size}], ${formatShape(first)} and ` +
      `${formatShape(second)} per sample.`,
  );
}
