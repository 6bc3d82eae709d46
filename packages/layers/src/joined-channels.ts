/** Bijections of one tensor as bijections of pairs, which are joined along the channels. */
import { concat, type Tensor } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { splitChannels } from './channel-halves.ts';
import type { Parameter } from './parameter.ts';
import { disposeState, type Pair } from './state.ts';

/**
 * (x₁, x₂) ↦ the two parts of f([x₁, x₂]); f keeps the channels, and both parts have the channels
 * that they had. The counterpart of `ChannelHalves`.
 *
 * @example new JoinedChannels(new IrimCoupling({ channels: 5 }), [1, 4]).forward([eta, s])
 */
export class JoinedChannels implements Bijection<Pair> {
  readonly inner: Bijection;
  readonly channels: readonly [number, number];

  constructor(inner: Bijection, channels: readonly [number, number]) {
    this.inner = inner;
    this.channels = channels;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Pair, context?: Tensor) {
    const joined = concat(x, 1);
    const { y, logdet } = this.inner.forward(joined, context);
    joined.dispose();
    return { y: this.#part(y), logdet };
  }

  inverse(y: Pair, context?: Tensor) {
    const joined = concat(y, 1);
    const { x, logdet } = this.inner.inverse(joined, context);
    joined.dispose();
    return { x: this.#part(x), logdet };
  }

  backward(y: Pair, dy: Pair, options?: BackwardOptions) {
    const joined: Pair = [concat(y, 1), concat(dy, 1)];
    const { x, dx, ...rest } = this.inner.backward(...joined, options);
    disposeState(joined);
    return { x: this.#part(x), dx: this.#part(dx), ...rest };
  }

  backwardInverse(x: Pair, dx: Pair, options?: BackwardOptions) {
    const joined: Pair = [concat(x, 1), concat(dx, 1)];
    const { y, dy, ...rest } = this.inner.backwardInverse(...joined, options);
    disposeState(joined);
    return { y: this.#part(y), dy: this.#part(dy), ...rest };
  }

  jvp(x: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const joined = concat(x, 1);
    const direction = tangent.x && concat(tangent.x, 1);
    const { y, dy, ...rest } = this.inner.jvp(joined, { ...tangent, x: direction }, context);
    joined.dispose();
    direction?.dispose();
    return { y: this.#part(y), dy: this.#part(dy), ...rest };
  }

  jvpInverse(y: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const joined = concat(y, 1);
    const direction = tangent.x && concat(tangent.x, 1);
    const { x, dx, ...rest } = this.inner.jvpInverse(joined, { ...tangent, x: direction }, context);
    joined.dispose();
    direction?.dispose();
    return { x: this.#part(x), dx: this.#part(dx), ...rest };
  }

  /** Parts and frees. */
  #part(joined: Tensor): Pair {
    const parts = splitChannels('JoinedChannels', joined, this.channels);
    joined.dispose();
    return parts;
  }
}
