/**
 * Couplings as the libraries have them: which part of the channels moves, and in what order their
 * networks give scale and shift.
 */
import {
  type Activation,
  AdditiveCoupling,
  BasicCoupling,
  type Bijection,
  ChannelHalves,
  type Conditioner,
  GlowCoupling,
  Swapped,
} from '@invnet/layers';

/** A coupling between the two parts of the channels. */
export interface CouplingParts {
  /** Of the two parts in their order. */
  readonly channels: readonly [number, number];
  /** Which of them is scaled and shifted; the other one conditions. */
  readonly moves: 'first' | 'second';
  /** Gives r and t of the part that moves, or its shift alone. */
  readonly conditioner: Conditioner;
  /** Makes the scale of r; left out for a shift alone. */
  readonly scaleFunction?: Activation | undefined;
}

/** The bijection. */
export function couplingOf({
  channels,
  moves,
  conditioner,
  scaleFunction,
}: CouplingParts): Bijection {
  if (scaleFunction) {
    const sum = channels[0] + channels[1];
    return new GlowCoupling({ channels: sum, split: channels, moves, conditioner, scaleFunction });
  }
  const inner = new AdditiveCoupling(conditioner);
  return new ChannelHalves(moves === 'second' ? inner : new Swapped(inner), channels);
}

/** What a bijection of `couplingOf` is made of; undefined for another one. */
export function partsOfCoupling(layer: Bijection): CouplingParts | undefined {
  if (!(layer instanceof ChannelHalves)) return undefined;
  const { inner, channels } = layer;
  const moves = inner instanceof Swapped ? 'first' : 'second';
  const coupling = inner instanceof Swapped ? inner.inner : inner;
  if (coupling instanceof AdditiveCoupling) {
    return { channels, moves, conditioner: coupling.conditioner };
  }
  if (!(coupling instanceof BasicCoupling)) return undefined;
  const { conditioner, scaleFunction } = coupling;
  return { channels, moves, conditioner, scaleFunction };
}

/** Where a network of another library has scale and shift among its outputs, and what it does to them. */
export interface OutputOrder {
  /** The row of r, and of t, for channel j of the `moved` that move. */
  readonly scaleRow: (j: number, moved: number) => number;
  readonly shiftRow: (j: number, moved: number) => number;
  /** Our r is `factor`·theirs + `offset`, our t is theirs. Default: 1, 0. */
  readonly factor?: number;
  readonly offset?: number;
}

/** Weights and bias of a layer, [out, in, …kernel] and [out]. */
export interface LayerNumbers {
  readonly shape: readonly number[];
  readonly w: Float64Array;
  readonly b: Float64Array;
}

/** The last layer with its rows in our order (or, `back`, in theirs), scaled and shifted. */
export function reordered(
  layer: LayerNumbers,
  order: OutputOrder,
  direction: 'in' | 'back',
): LayerNumbers {
  const rows = layer.shape[0]!;
  const moved = rows / 2;
  const size = layer.w.length / rows;
  const [w, b] = [new Float64Array(layer.w.length), new Float64Array(rows)];
  const { factor = 1, offset = 0 } = order;
  for (let row = 0; row < rows; row++) {
    const scales = row < moved;
    const theirs = scales ? order.scaleRow(row, moved) : order.shiftRow(row - moved, moved);
    const [f, o] = scales ? [factor, offset] : [1, 0];
    const [from, to] = direction === 'in' ? [theirs, row] : [row, theirs];
    for (let i = 0; i < size; i++) {
      const value = layer.w[from * size + i]!;
      w[to * size + i] = direction === 'in' ? f * value : value / f;
    }
    b[to] = direction === 'in' ? f * layer.b[from]! + o : (layer.b[from]! - o) / f;
  }
  return { shape: layer.shape, w, b };
}
