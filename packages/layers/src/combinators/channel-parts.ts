/**
 * Channels parted in two in any way, one part to stay and condition, the other one to move. Left out: masks
 * over positions, which are those of `MaskedCoupling`.
 */
import {
  concat,
  formatValue,
  requireRecord,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { requireChannelPair, requireWhole } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import { Permutation } from '../linear/permutation.ts';
import { halvesOf, requireParts, splitChannels, splitShape } from './channel-halves.ts';

/**
 * How channels are parted: by the channels of both parts; by those of the first part, or below 1 by its
 * fraction, rounded as Python does, a half to the even number; or by the list of the first part's channels,
 * counted from 0.
 */
export type ChannelSplit =
  | readonly [number, number]
  | number
  | { readonly first: readonly number[] };

/**
 * Two parts of the channels. Both keep the order of their channels, a list its own.
 *
 * @example
 * const parts = new ChannelParts('MyCoupling', 4, { first: [3, 0] });
 * const [x1, x2] = parts.part(x); // channels 3 and 0, and channels 1 and 2
 * parts.join([x1, x2]); // x again
 */
export class ChannelParts {
  /** How many channels are in the first part and in the second. */
  readonly lengths: readonly [number, number];
  /** What makes them again. */
  readonly split: ChannelSplit;
  readonly #op: string;
  readonly #order: Permutation | undefined;

  /**
   * Of channels parted in halves by default, the smaller one first.
   *
   * @throws ValueError for parts that do not add up, lists with repetitions or channels that there are not, or
   * a part without channels: one conditions, and the other one is moved.
   */
  constructor(op: string, channels: number, given?: ChannelSplit) {
    requireParts(op, channels);
    const split = given ?? halvesOf(channels);
    this.#op = op;
    if (typeof split === 'number' || !isRecord(split)) {
      this.lengths =
        typeof split === 'number' ? firstOf(op, channels, split) : pairOf(op, channels, split);
      this.split = this.lengths;
      return;
    }
    const first = listOf(op, channels, split);
    const others = Array.from({ length: channels }, (_, c) => c).filter((c) => !first.includes(c));
    this.lengths = [first.length, others.length];
    this.split = { first };
    this.#order = new Permutation({ channels, order: [...first, ...others] });
  }

  /** The two parts of x, along the channels. */
  part(x: Tensor): Pair {
    if (!this.#order) return splitChannels(x, this.lengths);
    const { y } = this.#order.forward(x);
    return splitChannels(y, this.lengths);
  }

  /** The whole that has these parts. */
  join(parts: Pair): Tensor {
    const joined = concat(parts, 1);
    return this.#order ? this.#order.inverse(joined).x : joined;
  }

  /** The shapes of the parts. @throws ShapeError unless the channels add up. */
  partShape(x: Shape): readonly [Shape, Shape] {
    return splitShape(this.#op, x, this.lengths);
  }
}

function isRecord(split: ChannelSplit): split is { readonly first: readonly number[] } {
  return !Array.isArray(split);
}

function pairOf(
  op: string,
  channels: number,
  split: readonly [number, number],
): readonly [number, number] {
  const list = Array.isArray(split) && split.length !== 2;
  if (!list) requireChannelPair(op, 'split', split);
  const [first, second] = split;
  if (!list && first + second === channels) return [first, second];
  throw new ValueError(
    `${op}: split is ${formatValue(split)}; expected two numbers that add up to ${channels}, or ` +
      '{ first: […] } for a list of channels.',
  );
}

/** The channels of a first part given by its number or its fraction. */
function firstOf(op: string, channels: number, split: number): readonly [number, number] {
  const exact = split > 0 && split < 1 ? split * channels : split;
  const first = exact % 1 === 0.5 ? 2 * Math.round(exact / 2) : Math.round(exact);
  const whole = split < 1 || Number.isInteger(split);
  if (whole && first >= 1 && first < channels) return [first, channels - first];
  throw new ValueError(
    `${op}: split is ${formatValue(split)} for ${channels} channels; expected from 1 to ${channels - 1} of ` +
      'them, or a fraction that leaves one to each part.',
  );
}

function listOf(
  op: string,
  channels: number,
  split: { readonly first: readonly number[] },
): readonly number[] {
  requireRecord(op, 'split', split, 'a pair of numbers, a number, or { first: […] }');
  const { first, ...others } = split;
  const range = `channels from 0 to ${channels - 1}, each once`;
  if (!Array.isArray(first) || Object.keys(others).length > 0) {
    throw new ValueError(
      `${op}: split is ${formatValue(split)}; expected { first: […] } of ${range}.`,
    );
  }
  for (const [i, channel] of first.entries()) {
    requireWhole(op, `split.first[${i}]`, channel, 0, channels - 1);
    if (first.indexOf(channel) < i) {
      throw new ValueError(`${op}: split.first has ${channel} twice; expected ${range}.`);
    }
  }
  if (first.length >= 1 && first.length < channels) return [...first];
  throw new ValueError(
    `${op}: split.first has ${first.length} of ${channels} channels; expected from 1 to ${channels - 1}, so ` +
      'that one part conditions and the other one is moved.',
  );
}
