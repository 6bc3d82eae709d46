/**
 * Bijections of pairs as bijections of one tensor, whose halves along any axis are the pair.
 * Mathematics: docs/math/combinators/axis-halves.md
 */
import { concat, formatShape, type Shape, ShapeError, split, type Tensor } from '@invnet/tensor';
import type { Bijection } from '../core/bijection.ts';
import { requireModuleOptions, requireWhole } from '../core/checks.ts';
import { formatStateShape, type Pair } from '../core/state.ts';
import { Rearranged } from './rearranged.ts';

/** Options of `AxisHalves`. */
export interface AxisHalvesOptions {
  /** Acts on the two halves. */
  readonly inner: Bijection<Pair>;
  /** Which axis is parted: 1 has the channels, 2 to 4 are those of space. */
  readonly axis: number;
}

/**
 * y = f(x₁, x₂) for the halves x₁ and x₂ of x along an axis, x₁ being the first ⌈n/2⌉ entries of n. With
 * additive couplings it is MemCNN's `AdditiveCoupling` with a `split_dim`, with affine ones its `AffineCoupling`.
 *
 * @example
 * // y₁ = x₁ + F(x₂), y₂ = x₂ + G(y₁) on the left and right halves of images
 * const inner = compose(new Swapped(new AdditiveCoupling(F)), new AdditiveCoupling(G));
 * const { y } = new AxisHalves({ inner, axis: 3 }).forward(x); // x [N, C, H, W]
 */
export class AxisHalves extends Rearranged<Tensor, Pair> {
  static readonly type: string = 'AxisHalves';
  readonly axis: number;

  /** @throws ValueError unless the axis is from 1 to 4. */
  constructor(options: AxisHalvesOptions) {
    requireModuleOptions('AxisHalves', options, ['inner', 'axis']);
    super(options.inner, 2);
    requireWhole('AxisHalves', 'axis', options.axis, 1, 4);
    this.axis = options.axis;
  }

  get options() {
    return { inner: this.inner, axis: this.axis };
  }

  protected enter(x: Tensor): Pair {
    const [first, second] = split(x, this.axis, this.#halves(x.shape));
    return [first!, second!];
  }

  protected leave(halves: Pair): Tensor {
    return concat(halves, this.axis);
  }

  protected enterShape(x: Shape): readonly [Shape, Shape] {
    const [first, second] = this.#halves(x);
    return [x.with(this.axis, first), x.with(this.axis, second)];
  }

  protected leaveShape(halves: readonly [Shape, Shape]): Shape {
    const { axis } = this;
    const [first, second] = halves;
    const [a, b] = [first[axis]!, second[axis]!];
    const fits = a === b || a === b + 1;
    const alike =
      first.length === second.length && first.every((s, i) => i === axis || s === second[i]);
    if (fits && alike) return first.with(axis, a + b);
    throw new ShapeError(
      `AxisHalves: the halves became ${formatStateShape(halves)}; expected halves of one shape, along axis ${axis}.`,
    );
  }

  #halves(x: Shape): readonly [number, number] {
    const entries = x[this.axis];
    if (entries !== undefined && entries >= 2) {
      return [Math.ceil(entries / 2), Math.floor(entries / 2)];
    }
    throw new ShapeError(
      `AxisHalves: got ${formatShape(x)}; expected at least 2 entries along axis ${this.axis}, to be halved.`,
    );
  }
}
