/**
 * The coupling of invertible recurrent inference machines (Putzky and Welling, "Invert to learn to
 * invert", 2019). Mathematics: docs/math/irim-coupling.md
 */
import { RandomStream } from '@invnet/tensor';
import { AdditiveCoupling } from './additive-coupling.ts';
import { ChannelHalves, halvesOf } from './channel-halves.ts';
import { requireWhole } from './checks.ts';
import type { Conditioner } from './conditioner.ts';
import { Conv1x1 } from './conv1x1.ts';
import { defaultConditioner } from './default-conditioner.ts';
import { reverse } from './reverse.ts';
import { Sequential } from './sequential.ts';

/** Options of `IrimCoupling`. */
export interface IrimCouplingOptions {
  /** At least 2. */
  readonly channels: number;
  /** Width of the default conditioner. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes of the default conditioner, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /** Maps the ⌊channels/2⌋ first channels to as many as there are others. */
  readonly conditioner?: Conditioner;
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
export class IrimCoupling extends Sequential {
  /** @throws ValueError for fewer than 2 channels. */
  constructor(options: IrimCouplingOptions) {
    const { channels, random = new RandomStream(0) } = options;
    requireWhole('IrimCoupling', 'channels', channels, 2);
    const mix = new Conv1x1({ channels, random });
    const halves = halvesOf(channels);
    const [inChannels, outChannels] = halves;
    const conditioner =
      options.conditioner ?? defaultConditioner({ ...options, inChannels, outChannels, random });
    const coupling = new ChannelHalves(new AdditiveCoupling(conditioner), halves, 'IrimCoupling');
    super({ mix, coupling, back: reverse(mix) });
  }
}
