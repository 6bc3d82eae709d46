/**
 * The block of couplings with any activation and normalization, as a chain.
 * Mathematics: docs/math/conditioners/chain.md
 */
import { RandomStream } from '@invnet/tensor';
import { requireDimensions, requireModuleOptions, requireSizes } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { relu } from '../elementwise/activations.ts';
import { Construction } from '../tree/construction.ts';
import { type Chain, chain } from './chain.ts';
import { Conv, ConvTranspose } from './conv.ts';
import { Dense } from './dense.ts';
import { type NormalizationName, normalizationOf } from './normalization.ts';

/** Options of `convBlock`. */
export interface ConvBlockOptions {
  readonly inChannels: number;
  readonly hidden: number;
  readonly outChannels: number;
  /** Number of spatial axes, 0 to 3; without any its layers are dense. Default: 2. */
  readonly ndims?: number;
  /** Behind the first two layers. Default: `relu()`. */
  readonly activation?: Activation;
  /** Before the activations. Default: `none`. */
  readonly normalization?: NormalizationName;
  /** Kernel size of the first and the last convolution, odd where the stride is 1. Default: 3. */
  readonly kernel1?: number;
  /** Odd kernel size of the middle convolution. Default: 1. */
  readonly kernel2?: number;
  /** Of the first convolution; the last one restores the resolution. Default: 1. */
  readonly stride?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = [
  ...['inChannels', 'hidden', 'outChannels', 'ndims', 'activation', 'normalization'],
  ...['kernel1', 'kernel2', 'stride'],
];

/**
 * L₃ f(norm(L₂ f(norm(L₁ x)))): as `ResidualBlock`, and for `ndims: 0` as `DenseBlock`, with another
 * activation f or a normalization. With ReLU and none those two do the same in fewer passes.
 *
 * Without spatial axes there are no kernels and no stride.
 *
 * @throws ValueError for sizes that are not whole and positive, or even kernels of stride 1.
 * @example
 * const conditioner = withContext((sizes) =>
 *   convBlock({ ...sizes, hidden: 32, activation: gelu(), normalization: 'layer' }));
 * new Glow({ channels: 3, conditioner });
 */
export function convBlock(options: ConvBlockOptions): Chain {
  using building = new Construction();
  requireModuleOptions('convBlock', options, names);
  const { inChannels, hidden, outChannels, ndims = 2, random = new RandomStream(0) } = options;
  const { activation = relu(), normalization = 'none', ...kernels } = options;
  requireSizes('convBlock', { inChannels, hidden, outChannels });
  requireDimensions('convBlock', ndims, 0);
  requireActivation('convBlock', 'activation', activation);
  const between = () => [...normalizationOf('convBlock', normalization, hidden), activation];
  const [first, middle, last] = layersOf({ ...kernels, ndims, random });
  const made = chain(first, ...between(), middle, ...between(), last);
  building.complete();
  return made;
}

type Three = readonly [Conditioner, Conditioner, Conditioner];

function layersOf(options: ConvBlockOptions & { ndims: number; random: RandomStream }): Three {
  const { inChannels, hidden, outChannels, ndims, random } = options;
  const gain = 0.1;
  if (ndims === 0) {
    requireModuleOptions('convBlock without spatial axes', options, names.slice(0, 6));
    return [
      new Dense({ inChannels, outChannels: hidden, random }),
      new Dense({ inChannels: hidden, outChannels: hidden, random }),
      new Dense({ inChannels: hidden, outChannels, gain, random }),
    ];
  }
  const { kernel1 = 3, kernel2 = 1, stride = 1 } = options;
  const square = { inChannels: hidden, outChannels: hidden, ndims, random };
  const outer = { ...square, kernel: kernel1, stride };
  const Last = stride > 1 ? ConvTranspose : Conv;
  return [
    new Conv({ ...outer, inChannels }),
    new Conv({ ...square, kernel: kernel2 }),
    new Last({ ...outer, outChannels, gain }),
  ];
}
