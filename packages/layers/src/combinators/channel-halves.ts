/** Bijections of pairs as bijections of one tensor, whose channels are parted in two. */
import { concat, type Shape, split, type Tensor, ValueError } from '@invnet/tensor';
import type { Bijection } from '../core/bijection.ts';
import { requireChannelPair, requireChannels, requireWhole } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import type { Options } from '../tree/module.ts';
import { Rearranged } from './rearranged.ts';

/**
 * y = f(x₁, x₂) for x = (x₁, x₂) along channels; f keeps the channels of both.
 *
 * @example new ChannelHalves(new BasicCoupling({ channels: [2, 2] }), [2, 2]).forward(x) // x [N, 4, …]
 */
export class ChannelHalves extends Rearranged<Tensor, Pair> {
  static readonly type: string = 'ChannelHalves';
  readonly channels: readonly [number, number];

  constructor(inner: Bijection<Pair>, channels: readonly [number, number]) {
    super(inner, 2);
    requireChannelPair('ChannelHalves', 'channels', channels);
    this.channels = channels;
  }

  static build(options: {
    readonly inner: Bijection<Pair>;
    readonly channels: readonly [number, number];
  }): ChannelHalves {
    return new ChannelHalves(options.inner, options.channels);
  }

  get options(): Options {
    return { inner: this.inner, channels: this.channels };
  }

  protected enter(x: Tensor): Pair {
    return splitChannels(x, this.channels);
  }

  protected leave(halves: Pair): Tensor {
    return concat(halves, 1);
  }

  protected enterShape(x: Shape): readonly [Shape, Shape] {
    return splitShape(this.type, x, this.channels);
  }

  protected leaveShape(halves: readonly [Shape, Shape]): Shape {
    return joinShapes(halves);
  }
}

/** The two parts of x along the channels. */
export function splitChannels(x: Tensor, channels: readonly [number, number]): Pair {
  const [x1, x2] = split(x, 1, channels);
  return [x1!, x2!];
}

/** The shapes of the two parts. @throws ShapeError unless the channels add up. */
export function splitShape(
  op: string,
  x: Shape,
  channels: readonly [number, number],
): readonly [Shape, Shape] {
  const [n, , ...size] = requireChannels(op, x, channels[0] + channels[1]);
  return [
    [n!, channels[0], ...size],
    [n!, channels[1], ...size],
  ];
}

/** The shape of two tensors joined along the channels. */
export function joinShapes([[n, a, ...size], [, b]]: readonly [Shape, Shape]): Shape {
  return [n!, a! + b!, ...size];
}

/** ⌊C/2⌋ and ⌈C/2⌉, as couplings part their channels. @throws ValueError for fewer than 2. */
export function halvesOf(channels: number): readonly [number, number] {
  requireParts('halvesOf', channels);
  const first = Math.floor(channels / 2);
  return [first, channels - first];
}

/** @throws ValueError unless there are channels for two parts; for one it says what takes it instead. */
export function requireParts(op: string, channels: number): void {
  if (channels === 1) {
    throw new ValueError(
      `${op}: channels is 1; expected a whole number of at least 2, of which one part stays. For one channel ` +
        'there are ElementwiseTransform, ConditionalTransform and, over positions, MaskedCoupling.',
    );
  }
  requireWhole(op, 'channels', channels, 2);
}
