/** Bijections of vectors as bijections of pairs: for graphs of two inputs and outputs, and whatever joins vectors. */
import { formatShape, type Shape, ShapeError, sizeOf, type Tensor } from '@invnet/tensor';
import type { Bijection } from '../core/bijection.ts';
import type { Pair } from '../core/state.ts';
import { flattenPair, type PairShape, requirePairShape, unflattenPair } from './flattened.ts';
import { Rearranged } from './rearranged.ts';

/**
 * f on pairs, whose two tensors f has one behind the other in vectors [N, A + B]; both keep their shapes, which are
 * given per sample. The counterpart of `Flattened`.
 *
 * @example
 * const joint = new Unflattened(new Glow({ channels: 5, ndims: 0 }), [[2], [3]]);
 * const { y: [u, v] } = joint.forward([x, z]); // x [N, 2], z [N, 3]
 */
export class Unflattened extends Rearranged<Pair, Tensor> {
  static readonly type: string = 'Unflattened';
  readonly shapes: PairShape;

  constructor(inner: Bijection, shapes: PairShape) {
    super(inner, 1);
    requirePairShape('Unflattened', 'shapes', shapes);
    this.shapes = shapes;
  }

  static build(options: { readonly inner: Bijection; readonly shapes: PairShape }): Unflattened {
    return new Unflattened(options.inner, options.shapes);
  }

  get options() {
    return { inner: this.inner, shapes: this.shapes };
  }

  override get stateSize(): 2 {
    return 2;
  }

  protected enter(pair: Pair): Tensor {
    return flattenPair(pair);
  }

  protected leave(flat: Tensor): Pair {
    return unflattenPair(flat, this.shapes);
  }

  protected enterShape([first, second]: readonly [Shape, Shape]): Shape {
    for (const [i, [, ...shape]] of [first, second].entries()) {
      const expected = this.shapes[i]!;
      if (shape.length === expected.length && shape.every((s, k) => s === expected[k])) continue;
      throw new ShapeError(
        `Unflattened: got ${formatShape(shape)} per sample; expected ${formatShape(expected)}.`,
      );
    }
    const [a, b] = this.shapes;
    return [first[0]!, sizeOf(a) + sizeOf(b)];
  }

  protected leaveShape([n]: Shape): readonly [Shape, Shape] {
    const [first, second] = this.shapes;
    return [
      [n!, ...first],
      [n!, ...second],
    ];
  }
}
