/** Bijections of one tensor as bijections of pairs, which are joined along the channels. */
import { concat, formatShape, type Shape, ShapeError, type Tensor } from '@invnet/tensor';
import type { Bijection } from '../core/bijection.ts';
import { requireChannelPair, requireChannels } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import { joinShapes, splitChannels, splitShape } from './channel-halves.ts';
import { Rearranged } from './rearranged.ts';

/**
 * (x₁, x₂) ↦ the two parts of f([x₁, x₂]); f keeps the channels, and both parts have the channels
 * that they had. The counterpart of `ChannelHalves`.
 *
 * @example new JoinedChannels(new IrimCoupling({ channels: 5 }), [1, 4]).forward([eta, s])
 */
export class JoinedChannels extends Rearranged<Pair, Tensor> {
  static readonly type: string = 'JoinedChannels';
  readonly channels: readonly [number, number];

  constructor(inner: Bijection, channels: readonly [number, number]) {
    super(inner, 1);
    requireChannelPair('JoinedChannels', 'channels', channels);
    this.channels = channels;
  }

  static build(options: {
    readonly inner: Bijection;
    readonly channels: readonly [number, number];
  }): JoinedChannels {
    return new JoinedChannels(options.inner, options.channels);
  }

  get options() {
    return { inner: this.inner, channels: this.channels };
  }

  override get stateSize(): 2 {
    return 2;
  }

  protected enter(x: Pair): Tensor {
    return concat(x, 1);
  }

  protected leave(joined: Tensor): Pair {
    return splitChannels(joined, this.channels);
  }

  protected enterShape([first, second]: readonly [Shape, Shape]): Shape {
    requireChannels('JoinedChannels', first, this.channels[0]);
    requireChannels('JoinedChannels', second, this.channels[1]);
    if (first.length !== second.length || first.some((s, i) => i !== 1 && s !== second[i])) {
      throw new ShapeError(
        `JoinedChannels: got ${formatShape(first)} and ${formatShape(second)}; expected one batch ` +
          'size and resolution.',
      );
    }
    return joinShapes([first, second]);
  }

  protected leaveShape(joined: Shape): readonly [Shape, Shape] {
    return splitShape('JoinedChannels', joined, this.channels);
  }
}
