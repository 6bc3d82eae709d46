/**
 * The affine coupling of Glow (Dinh et al., "Density estimation using Real NVP", 2017; Kingma and
 * Dhariwal, "Glow", 2018), and its conditional form. Mathematics: docs/math/glow-coupling.md
 */
import { type AffineOptions, BasicCoupling } from './basic-coupling.ts';
import { ChannelHalves, halvesOf } from './channel-halves.ts';
import { requireWhole } from './checks.ts';
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

/**
 * y₁ = x₁, y₂ = s ⊙ x₂ + t with (r, t) = g(x₁), s = scaleFunction(r); logdet = Σ log s.
 *
 * A `BasicCoupling` of the two halves of the channels; its `backward` evaluates g once.
 *
 * @example
 * const coupling = new GlowCoupling({ channels: 4, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 4, H, W]
 */
export class GlowCoupling extends ChannelHalves {
  /** @throws ValueError for fewer than 2 channels, or a scale function that can reach zero. */
  constructor(options: GlowCouplingOptions) {
    requireWhole('GlowCoupling', 'channels', options.channels, 2);
    const channels = halvesOf(options.channels);
    super(new BasicCoupling({ ...options, channels }), channels, 'GlowCoupling');
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
export class ConditionalGlowCoupling extends ChannelHalves {
  /** @throws ValueError as `GlowCoupling`, and for fewer than 1 channel of context. */
  constructor(options: ConditionalGlowCouplingOptions) {
    requireWhole('ConditionalGlowCoupling', 'channels', options.channels, 2);
    requireWhole('ConditionalGlowCoupling', 'contextChannels', options.contextChannels, 1);
    const channels = halvesOf(options.channels);
    super(new BasicCoupling({ ...options, channels }), channels, 'ConditionalGlowCoupling');
  }
}
