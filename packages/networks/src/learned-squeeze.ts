/**
 * A squeeze that is learned (Etmann, Ke and Schönlieb, "iUNets: learnable invertible up- and downsampling for
 * large-scale inverse problems", 2020). Mathematics: docs/math/networks/invertible-u-net.md
 */
import {
  Composite,
  Construction,
  compose,
  Orthogonal,
  requireDimensions,
  requireModuleOptions,
  requireSizes,
  ShuffleSqueeze,
} from '@invnet/layers';
import { zeros } from '@invnet/tensor';

/** Options of `LearnedSqueeze`. */
export interface LearnedSqueezeOptions {
  /** Channels before it. */
  readonly channels: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
}

/**
 * y = e^{a − aᵀ} S x: the positions of each cell become channels, and an orthogonal matrix mixes all of them;
 * logdet = 0. With a = 0, as it begins, it is a `ShuffleSqueeze`; among what it can become is every wavelet of the
 * length 2. `reverse` of it is a learned upsampling.
 *
 * @example
 * const squeeze = new LearnedSqueeze({ channels: 3 });
 * const { y } = squeeze.forward(x); // x [N, 3, H, W], y [N, 12, H/2, W/2]
 */
export class LearnedSqueeze extends Composite {
  static readonly type: string = 'LearnedSqueeze';
  readonly options: Required<LearnedSqueezeOptions>;
  readonly mix: Orthogonal;
  readonly #shuffle = new ShuffleSqueeze({ order: 'channel' });

  /** @throws ValueError for channels that are not whole and positive, or ndims other than 1, 2 and 3. */
  constructor(options: LearnedSqueezeOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('LearnedSqueeze', options, ['channels', 'ndims']);
    const { channels, ndims = 2 } = options;
    requireSizes('LearnedSqueeze', { channels });
    requireDimensions('LearnedSqueeze', ndims, 1);
    this.options = { channels, ndims };
    this.mix = new Orthogonal({ channels: channels * 2 ** ndims });
    const [a] = this.mix.weights;
    using still = zeros(a!.shape);
    a!.assign(still);
    building.complete();
  }

  protected get whole() {
    return compose(this.#shuffle, this.mix);
  }
}
