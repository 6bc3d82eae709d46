/**
 * The U-Net (Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", 2015;
 * in 3D: Çiçek et al., 2016) as a conditioner. Mathematics: docs/math/conditioners/unet.md
 */
import { RandomStream, requireOneOf, type Shape, type Tensor } from '@invnet/tensor';
import {
  requireDimensions,
  requireModuleOptions,
  requireOddKernel,
  requireSizes,
  requireWhole,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { relu } from '../elementwise/activations.ts';
import { Construction } from '../tree/construction.ts';
import { type Chain, chain } from './chain.ts';
import { Conv, ConvTranspose } from './conv.ts';
import { requireImage } from './conv-layer.ts';
import { type NormalizationName, normalizationOf } from './normalization.ts';
import { AveragePool, MaxPool } from './pooling.ts';
import { concatSkip } from './skip-connection.ts';
import { Upsample } from './upsample.ts';

/** Options of `UNet`. */
export interface UNetOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels at full resolution; each level below has twice as many. Default: 32. */
  readonly hidden?: number;
  /** How often the resolution is halved. Default: 2. */
  readonly levels?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size. Default: 3. */
  readonly kernel?: number;
  /** Default: `relu()`. */
  readonly activation?: Activation;
  /** Between each convolution and its activation. Default: `none`. */
  readonly normalization?: NormalizationName;
  /** Halves the resolution: `MaxPool`, `AveragePool`, or a convolution of stride 2. Default: `max`. */
  readonly down?: 'max' | 'average' | 'conv';
  /** Doubles it: a `ConvTranspose`, or an `Upsample` and a convolution. Default: `transposed`. */
  readonly up?: 'transposed' | 'nearest';
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = [
  ...['inChannels', 'outChannels', 'hidden', 'levels', 'ndims', 'kernel'],
  ...['activation', 'normalization', 'down', 'up'],
];

type SavedChain = ReturnType<Chain['forward']>['saved'];

/** Each level doubles the channels: beyond this, no memory has room for the weights. */
const MOST_LEVELS = 12;

/**
 * On each level two convolutions, then the level below on half of the resolution, then its result beside
 * that of the two convolutions, and two convolutions of both; in the end a 1×1 convolution, drawn small, so
 * that a coupling starts close to the identity.
 *
 * Any sizes of at least 2^levels: what an odd size leaves over is left out on the way down, and zero on
 * the way up, where the connection beside it has it.
 *
 * @example
 * const conditioner = withContext((sizes) => new UNet({ ...sizes, hidden: 16 }));
 * new ConditionalGlow({ channels: 1, contextChannels: 1, conditioner });
 */
export class UNet extends Conditioner<SavedChain> {
  static readonly type: string = 'UNet';
  readonly options: Required<Omit<UNetOptions, 'random'>>;
  readonly inner: Chain;

  /** @throws ValueError for sizes that are not whole and positive, an even kernel, or another name. */
  constructor(options: UNetOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('UNet', options, names);
    const { inChannels, outChannels, hidden = 32, levels = 2, ndims = 2, kernel = 3 } = options;
    const { activation = relu(), normalization = 'none', down = 'max' } = options;
    const { up = 'transposed', random = new RandomStream(0) } = options;
    requireSizes('UNet', { inChannels, outChannels, hidden });
    requireWhole('UNet', 'levels', levels, 1, MOST_LEVELS);
    requireDimensions('UNet', ndims, 1);
    requireOddKernel('UNet', 'kernel', kernel);
    requireActivation('UNet', 'activation', activation);
    requireOneOf('UNet', 'down', down, ['max', 'average', 'conv']);
    requireOneOf('UNet', 'up', up, ['transposed', 'nearest']);
    const sizes = { inChannels, outChannels, hidden, levels, ndims, kernel };
    this.options = { ...sizes, activation, normalization, down, up };
    const last = { inChannels: hidden, outChannels, ndims, kernel: 1, gain: 0.1, random };
    this.inner = chain(this.#level(0, inChannels, random), new Conv(last));
    building.complete();
  }

  protected apply(x: Tensor) {
    return this.inner.forward(x);
  }

  protected applyBackward(dy: Tensor, saved: SavedChain) {
    return this.inner.backward(dy, saved);
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return this.inner.jvp(x, tangent);
  }

  protected applyShape(x: Shape): Shape | undefined {
    const { inChannels, ndims } = this.options;
    return this.inner.outputShape(requireImage('UNet', x, inChannels, ndims));
  }

  /** From the channels of what is above to those of the level. */
  #level(level: number, inChannels: number, random: RandomStream): Chain {
    const { levels, hidden, ndims, kernel } = this.options;
    const width = hidden * 2 ** level;
    const enter = this.#twice(inChannels, width, random);
    if (level === levels) return chain(...enter);
    const down = this.#down(width, random);
    const below = this.#level(level + 1, width, random);
    const sizes = { inChannels: 2 * width, outChannels: width, ndims, random };
    const up =
      this.options.up === 'transposed'
        ? [new ConvTranspose(sizes)]
        : [new Upsample(), new Conv({ ...sizes, kernel })];
    const leave = this.#twice(2 * width, width, random);
    return chain(...enter, concatSkip(chain(down, below, ...up)), ...leave);
  }

  #twice(inChannels: number, outChannels: number, random: RandomStream) {
    const { ndims, kernel, activation, normalization } = this.options;
    return [inChannels, outChannels].flatMap((from) => [
      new Conv({ inChannels: from, outChannels, ndims, kernel, random }),
      ...normalizationOf('UNet', normalization, outChannels),
      activation,
    ]);
  }

  #down(channels: number, random: RandomStream): Conditioner {
    const { down, ndims } = this.options;
    if (down === 'max') return new MaxPool();
    if (down === 'average') return new AveragePool();
    const sizes = { inChannels: channels, outChannels: channels, ndims };
    return new Conv({ ...sizes, kernel: 2, stride: 2, random });
  }
}
