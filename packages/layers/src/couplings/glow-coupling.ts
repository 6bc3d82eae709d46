/**
 * The affine coupling of Glow (Dinh et al., "Density estimation using Real NVP", 2017; Kingma and
 * Dhariwal, "Glow", 2018), and its conditional form. Mathematics: docs/math/couplings/glow-coupling.md
 */
import { formatShape, requireOneOf, type Tensor, ValueError } from '@invnet/tensor';
import { ChannelHalves, halvesOf, requireParts } from '../combinators/channel-halves.ts';
import { Swapped } from '../combinators/swapped.ts';
import type { ConditionerFactory } from '../conditioners/conditioner-factory.ts';
import type { BackwardOptions } from '../core/bijection.ts';
import { requireChannelPair, requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import type { Options } from '../tree/module.ts';
import { type AffineOptions, affineOptions, BasicCoupling } from './basic-coupling.ts';

/** Options of `GlowCoupling`. */
export interface GlowCouplingOptions extends Omit<AffineOptions, 'contextChannels'> {
  /** At least 2. */
  readonly channels: number;
  /** How many channels are in the first part and in the second. Default: ⌊channels/2⌋ and the others. */
  readonly split?: readonly [number, number];
  /** Which part is moved; the other one conditions it. Default: `second`, which may go in one pass. */
  readonly moves?: 'first' | 'second';
  /**
   * Maps the channels of the part that stays to twice as many as are moved, or a function that makes it.
   * Default: a `ResidualBlock`, or a `DenseBlock` for `ndims: 0`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory | undefined;
}

const halvesOptions = [
  ...affineOptions.filter((name) => name !== 'contextChannels'),
  'channels',
  'split',
  'moves',
  'conditioner',
];

/** A `BasicCoupling` of two parts of the channels, without parting them where it can do without. */
abstract class AffineHalves extends ChannelHalves {
  /** Files from before there was a choice have none of it, so what is left out stays out. */
  readonly #given: Pick<GlowCouplingOptions, 'split' | 'moves'>;

  constructor(op: string, options: AffineOptions & GlowCouplingOptions) {
    const { channels, split = halvesOf(channels), moves = 'second', ...rest } = options;
    requireChannelPair(op, 'split', split);
    const [first, second] = split;
    if (first + second !== channels) {
      throw new ValueError(
        `${op}: split is ${formatShape(split)}; expected two numbers that add up to ${channels}.`,
      );
    }
    requireOneOf(op, 'moves', moves, ['first', 'second']);
    super(
      moves === 'second'
        ? new BasicCoupling({ ...rest, channels: [first, second] })
        : new Swapped(new BasicCoupling({ ...rest, channels: [second, first] })),
      [first, second],
    );
    this.#given = {
      ...(options.split && { split: [first, second] }),
      ...(options.moves && { moves }),
    };
  }

  /** The block g. */
  get conditioner(): Conditioner {
    return this.#coupling.conditioner;
  }

  override get options(): Options {
    const [first, second] = this.channels;
    const channels = first + second;
    const { conditioner, scaleFunction } = this.#coupling;
    return { channels, ...this.#given, conditioner, scaleFunction };
  }

  protected override apply(x: Tensor, context?: Tensor) {
    if (!this.#passesJoined(x)) return super.apply(x, context);
    return this.#coupling.moveJoined(x, 'forward', context);
  }

  protected override invert(y: Tensor, context?: Tensor) {
    if (!this.#passesJoined(y)) return super.invert(y, context);
    const { y: x, logdet } = this.#coupling.moveJoined(y, 'inverse', context);
    return { x, logdet };
  }

  protected override applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions) {
    if (!this.#passesJoined(y)) return super.applyBackward(y, dy, options);
    return this.#coupling.moveJoinedBack(y, dy, 'forward', options);
  }

  protected override invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions) {
    if (!this.#passesJoined(x)) return super.invertBackward(x, dx, options);
    const { x: y, dx: dy, ...rest } = this.#coupling.moveJoinedBack(x, dx, 'inverse', options);
    return { y, dy, ...rest };
  }

  #passesJoined(x: Tensor): boolean {
    return this.inner === this.#coupling && this.#coupling.passesJoined(x);
  }

  get #coupling(): BasicCoupling {
    const inner = this.inner instanceof Swapped ? this.inner.inner : this.inner;
    if (inner instanceof BasicCoupling) return inner;
    throw new ValueError(
      `${this.type}: what it wraps is ${this.inner.type}; expected a BasicCoupling, or the whole ` +
        `${this.type} replaced.`,
    );
  }
}

/**
 * y₁ = x₁, y₂ = s ⊙ x₂ + t with (r, t) = g(x₁), s = scaleFunction(r); logdet = Σ log s.
 *
 * A `BasicCoupling` of two parts of the channels; its `backward` evaluates g once. With `moves: 'first'`
 * x₂ conditions and x₁ is moved.
 *
 * @example
 * const coupling = new GlowCoupling({ channels: 4, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 4, H, W]
 */
export class GlowCoupling extends AffineHalves {
  static override readonly type: string = 'GlowCoupling';

  /** @throws ValueError for fewer than 2 channels, a split of others, or a scale function that can reach zero. */
  constructor(options: GlowCouplingOptions) {
    requireModuleOptions('GlowCoupling', options, halvesOptions);
    requireParts('GlowCoupling', options.channels);
    super('GlowCoupling', options);
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
  static override readonly type: string = 'ConditionalGlowCoupling';
  readonly contextChannels: number;

  /** @throws ValueError as `GlowCoupling`, and for fewer than 1 channel of context. */
  constructor(options: ConditionalGlowCouplingOptions) {
    const names = [...halvesOptions, 'contextChannels'];
    requireModuleOptions('ConditionalGlowCoupling', options, names);
    requireParts('ConditionalGlowCoupling', options.channels);
    requireWhole('ConditionalGlowCoupling', 'contextChannels', options.contextChannels, 1);
    super('ConditionalGlowCoupling', options);
    this.contextChannels = options.contextChannels;
  }

  override get options(): Options {
    return { ...super.options, contextChannels: this.contextChannels };
  }
}
