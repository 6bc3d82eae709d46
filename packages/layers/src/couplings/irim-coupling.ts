/**
 * The coupling of invertible recurrent inference machines (Putzky and Welling, "Invert to learn to
 * invert", 2019). Mathematics: docs/math/couplings/irim-coupling.md
 */
import { RandomStream } from '@invnet/tensor';
import { ChannelHalves, halvesOf, requireParts } from '../combinators/channel-halves.ts';
import { Composite } from '../combinators/composite.ts';
import { reverse } from '../combinators/reverse.ts';
import { compose } from '../combinators/sequential.ts';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import { Conv1x1 } from '../linear/conv1x1.ts';
import { Construction } from '../tree/construction.ts';
import { AdditiveCoupling } from './additive-coupling.ts';

/** Options of `IrimCoupling`. */
export interface IrimCouplingOptions {
  /** At least 2. */
  readonly channels: number;
  /** Width of the default conditioner. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes of the default conditioner, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /** Maps the ⌊channels/2⌋ first channels to as many as there are others, or a function that makes it. */
  readonly conditioner?: Conditioner | ConditionerFactory | undefined;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * y = Wᵀ(u₁, u₂ + g(u₁)) with u = W x: an orthogonal 1×1 convolution, an additive coupling on the
 * halves of the channels, and the convolution's inverse; logdet = 0.
 *
 * @example
 * const coupling = new IrimCoupling({ channels: 6, hidden: 32 });
 * const { y } = coupling.forward(x); // x [N, 6, H, W]
 */
export class IrimCoupling extends Composite {
  static readonly type: string = 'IrimCoupling';
  readonly mix: Conv1x1;
  readonly coupling: ChannelHalves;
  readonly #channels: number;
  readonly #conditioner: () => Conditioner;

  /** @throws ValueError for fewer than 2 channels. */
  constructor(options: IrimCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('IrimCoupling', options, ['channels', 'hidden', 'ndims', 'conditioner']);
    const { channels, ndims = 2, conditioner, random = new RandomStream(0), ...rest } = options;
    requireParts('IrimCoupling', channels);
    this.#channels = channels;
    this.mix = new Conv1x1({ channels, random });
    const halves = halvesOf(channels);
    const [inChannels, outChannels] = halves;
    const shape = { inChannels, outChannels, ndims, contextChannels: 0 };
    const additive = new AdditiveCoupling(
      makeConditioner('IrimCoupling', conditioner, shape, { ...rest, random }),
    );
    this.coupling = new ChannelHalves(additive, halves);
    this.#conditioner = () => additive.conditioner;
    building.complete();
  }

  get options() {
    return { channels: this.#channels, conditioner: this.#conditioner() };
  }

  protected get whole(): Bijection {
    return compose(this.mix, this.coupling, reverse(this.mix));
  }
}
