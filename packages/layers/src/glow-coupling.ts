/**
 * The affine coupling of Glow (Dinh et al., "Density estimation using Real NVP", 2017; Kingma and
 * Dhariwal, "Glow", 2018), and its conditional form. Mathematics: docs/math/glow-coupling.md
 */
import type { Tensor } from '@invnet/tensor';
import { type AffineOptions, BasicCoupling } from './basic-coupling.ts';
import type { BackwardOptions } from './bijection.ts';
import { ChannelHalves, halvesOf } from './channel-halves.ts';
import { requireChannels, requireWhole } from './checks.ts';
import type { Conditioner } from './conditioner.ts';

/** Options of `GlowCoupling`. */
export interface GlowCouplingOptions extends Omit<AffineOptions, 'contextChannels'> {
  /** At least 2; the first ⌊channels/2⌋ condition the others. */
  readonly channels: number;
  /**
   * Maps the ⌊channels/2⌋ first channels to twice as many as the others. Default: a
   * `ResidualBlock`, or a `DenseBlock` for `ndims: 0`.
   */
  readonly conditioner?: Conditioner;
}

/** A `BasicCoupling` of the two halves of the channels, without parting them where it can do without. */
class AffineHalves extends ChannelHalves {
  readonly #coupling: BasicCoupling;
  readonly #name: string;

  constructor(options: AffineOptions & { readonly channels: number }, name: string) {
    const channels = halvesOf(options.channels);
    const coupling = new BasicCoupling({ ...options, channels });
    super(coupling, channels, name);
    this.#coupling = coupling;
    this.#name = name;
  }

  override forward(x: Tensor, context?: Tensor) {
    this.#check(x);
    return this.#coupling.moveJoined(x, 'forward', context) ?? super.forward(x, context);
  }

  override inverse(y: Tensor, context?: Tensor) {
    this.#check(y);
    const joined = this.#coupling.moveJoined(y, 'inverse', context);
    return joined ? { x: joined.y, logdet: joined.logdet } : super.inverse(y, context);
  }

  override backward(y: Tensor, dy: Tensor, options: BackwardOptions = {}) {
    this.#check(y, dy);
    const joined = this.#coupling.moveJoinedBack(y, dy, 'forward', options);
    return joined ?? super.backward(y, dy, options);
  }

  override backwardInverse(x: Tensor, dx: Tensor, options: BackwardOptions = {}) {
    this.#check(x, dx);
    const joined = this.#coupling.moveJoinedBack(x, dx, 'inverse', options);
    if (!joined) return super.backwardInverse(x, dx, options);
    const { x: y, dx: dy, ...rest } = joined;
    return { y, dy, ...rest };
  }

  #check(...states: readonly Tensor[]): void {
    const [first, second] = this.channels;
    for (const x of states) requireChannels(this.#name, x, first + second);
  }
}

/**
 * y₁ = x₁, y₂ = s ⊙ x₂ + t with (r, t) = g(x₁), s = scaleFunction(r); logdet = Σ log s.
 *
 * A `BasicCoupling` of the two halves of the channels; its `backward` evaluates g once.
 *
 * @example
 * const coupling = new GlowCoupling({ channels: 4, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 4, H, W]
 */
export class GlowCoupling extends AffineHalves {
  /** @throws ValueError for fewer than 2 channels, or a scale function that can reach zero. */
  constructor(options: GlowCouplingOptions) {
    requireWhole('GlowCoupling', 'channels', options.channels, 2);
    super(options, 'GlowCoupling');
  }
}

/** Options of `ConditionalGlowCoupling`. */
export interface ConditionalGlowCouplingOptions extends GlowCouplingOptions {
  /** Channels of the context, which has the batch size and the resolution of x. */
  readonly contextChannels: number;
}

/**
 * As `GlowCoupling`, with (r, t) = g(x₁, context): scale and shift depend on a context, which every
 * method takes and whose gradient `backward` returns.
 *
 * A conditioner of one's own gets the context as its second argument, in whatever shape it takes.
 *
 * @example
 * const coupling = new ConditionalGlowCoupling({ channels: 4, contextChannels: 3 });
 * const { y, logdet } = coupling.forward(x, context); // x [N, 4, H, W], context [N, 3, H, W]
 */
export class ConditionalGlowCoupling extends AffineHalves {
  /** @throws ValueError as `GlowCoupling`, and for fewer than 1 channel of context. */
  constructor(options: ConditionalGlowCouplingOptions) {
    requireWhole('ConditionalGlowCoupling', 'channels', options.channels, 2);
    requireWhole('ConditionalGlowCoupling', 'contextChannels', options.contextChannels, 1);
    super(options, 'ConditionalGlowCoupling');
  }
}
