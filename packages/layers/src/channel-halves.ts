/** Bijections of pairs as bijections of one tensor, whose channels are parted in two. */
import { concat, split, type Tensor } from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireChannels } from './checks.ts';
import type { Parameter } from './parameter.ts';
import { disposeState, type Pair } from './state.ts';

/**
 * y = f(x₁, x₂) for x = (x₁, x₂) along channels; f keeps the channels of both.
 *
 * @example new ChannelHalves(new BasicCoupling({ channels: [2, 2] }), [2, 2]).forward(x) // x [N, 4, …]
 */
export class ChannelHalves implements Bijection {
  readonly inner: Bijection<Pair>;
  readonly channels: readonly [number, number];
  readonly #name: string;

  /** `name` stands in error messages. */
  constructor(inner: Bijection<Pair>, channels: readonly [number, number], name = 'ChannelHalves') {
    this.inner = inner;
    this.channels = channels;
    this.#name = name;
  }

  get parameters(): readonly Parameter[] {
    return this.inner.parameters;
  }

  forward(x: Tensor, context?: Tensor) {
    const halves = this.#split(x);
    const { y, logdet } = this.inner.forward(halves, context);
    disposeState(halves);
    return { y: join(y), logdet };
  }

  inverse(y: Tensor, context?: Tensor) {
    const halves = this.#split(y);
    const { x, logdet } = this.inner.inverse(halves, context);
    disposeState(halves);
    return { x: join(x), logdet };
  }

  backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}) {
    const [halves, gradients] = [this.#split(y), this.#split(dy)];
    const { x, dx, ...rest } = this.inner.backward(halves, gradients, options);
    disposeState(halves);
    disposeState(gradients);
    return { x: join(x), dx: join(dx), ...rest };
  }

  backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}) {
    const [halves, gradients] = [this.#split(x), this.#split(dx)];
    const { y, dy, ...rest } = this.inner.backwardInverse(halves, gradients, options);
    disposeState(halves);
    disposeState(gradients);
    return { y: join(y), dy: join(dy), ...rest };
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor) {
    const halves = this.#split(x);
    const direction = tangent.x && this.#split(tangent.x);
    const { y, dy, ...rest } = this.inner.jvp(halves, { ...tangent, x: direction }, context);
    disposeState(halves);
    if (direction) disposeState(direction);
    return { y: join(y), dy: join(dy), ...rest };
  }

  jvpInverse(y: Tensor, tangent: Tangent, context?: Tensor) {
    const halves = this.#split(y);
    const direction = tangent.x && this.#split(tangent.x);
    const { x, dx, ...rest } = this.inner.jvpInverse(halves, { ...tangent, x: direction }, context);
    disposeState(halves);
    if (direction) disposeState(direction);
    return { x: join(x), dx: join(dx), ...rest };
  }

  #split(x: Tensor): Pair {
    return splitChannels(this.#name, x, this.channels);
  }
}

/** The two parts of x along the channels. @throws ShapeError unless the channels add up. */
export function splitChannels(op: string, x: Tensor, channels: readonly [number, number]): Pair {
  requireChannels(op, x, channels[0] + channels[1]);
  const [x1, x2] = split(x, 1, channels);
  return [x1!, x2!];
}

/** Joins and frees the halves. */
function join(halves: Pair): Tensor {
  const joined = concat(halves, 1);
  disposeState(halves);
  return joined;
}

/** ⌊C/2⌋ and ⌈C/2⌉, as couplings part their channels. */
export function halvesOf(channels: number): readonly [number, number] {
  const first = Math.floor(channels / 2);
  return [first, channels - first];
}
