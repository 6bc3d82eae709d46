/**
 * Glow (Kingma and Dhariwal, "Glow: generative flow with invertible 1×1 convolutions", 2018), on
 * vectors and in 1D, 2D and 3D. Mathematics: docs/math/networks/glow.md
 */

import {
  type Activation,
  ActNorm,
  affineDefaults,
  affineOptions,
  type Bijection,
  type Conditioners,
  Conv1x1,
  GlowCoupling,
  type Options,
  requireModuleOptions,
  requireSizes,
  Sequential,
  ShuffleSqueeze,
} from '@invnet/layers';
import { RandomStream, requireBoolean, ValueError } from '@invnet/tensor';
import type { LatentPrior } from './latent-prior.ts';
import {
  MultiScale,
  type MultiScaleSizes,
  multiScaleDefaults,
  sizeOptions,
} from './multi-scale.ts';

/** Options of `Glow`. */
export interface GlowOptions extends MultiScaleSizes {
  /** Channels of the data. */
  readonly channels: number;
  /** Width of the default conditioners. Default: 64. */
  readonly hidden?: number;
  /** Makes the conditioners of the couplings, or all of them, in order. Default: see `GlowCoupling`. */
  readonly conditioner?: Conditioners | undefined;
  /** Default: `new ShuffleSqueeze({ pattern: 'checkerboard' })`. */
  readonly squeeze?: Bijection;
  /** Scale function of the couplings; see `GlowCoupling`. */
  readonly scaleFunction?: Activation;
  /** Keeps the 1×1 convolutions as they were drawn. Default: false. */
  readonly frozenConv1x1?: boolean;
  /** Normalizes before each convolution by an `ActNorm`. Default: true. */
  readonly actnorm?: boolean;
  /** A density of the latents' own: `new LearnedPrior()`. Default: standard normal. */
  readonly prior?: LatentPrior | undefined;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The names of the options. */
export const glowOptions = [
  ...sizeOptions,
  ...affineOptions.filter((name) => name !== 'contextChannels'),
  'channels',
  'conditioner',
  'squeeze',
  'frozenConv1x1',
  'actnorm',
  'prior',
];

/**
 * Per scale a squeeze, then K × (ActNorm, Conv1x1, GlowCoupling). The output has the input's shape:
 * each scale is unsqueezed behind the ones inside it, so the network is a map of images to images.
 * With `ndims: 0` it acts on vectors [N, C], with dense conditioners and without squeezes.
 *
 * Parameters are named `scales.0.steps.3.coupling.conditioner.w1`, and with a learned prior `scales.0.prior.conditioner.w`.
 *
 * @example
 * const net = new Glow({ channels: 3, hidden: 64, scales: 3, steps: 8 });
 * const { y, logdet } = net.forward(x); // x and y [N, 3, H, W], H and W divisible by 8
 */
export class Glow extends MultiScale {
  static override readonly type: string = 'Glow';
  readonly #options: Options;

  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: GlowOptions) {
    requireModuleOptions('Glow', options, glowOptions);
    const resolved = glowDefaults('Glow', options);
    const { random = new RandomStream(0) } = options;
    const { hidden, ndims, scaleFunction, frozenConv1x1: frozen, actnorm } = resolved;
    super({
      ...multiScaleDefaults('Glow', options),
      channels: [options.channels],
      squeeze: options.squeeze ?? new ShuffleSqueeze(),
      conditioner: options.conditioner,
      step: ([channels], scale, conditioner) => {
        requireHalves('Glow', channels!, scale);
        return new Sequential({
          ...(actnorm && { actnorm: new ActNorm({ channels: channels! }) }),
          conv1x1: new Conv1x1({ channels: channels!, frozen, random }),
          coupling: new GlowCoupling({
            channels: channels!,
            hidden,
            ndims,
            random,
            scaleFunction,
            conditioner,
          }),
        });
      },
      prior: options.prior,
    });
    this.#options = resolved;
  }

  override get options(): Options {
    return {
      ...this.sizes,
      ...this.#options,
      squeeze: this.squeeze,
      conditioner: this.conditioner,
      prior: this.prior,
    };
  }
}

/** @throws ValueError for a scale whose channels a coupling cannot part. */
export function requireHalves(network: string, channels: number, scale: number): void {
  if (channels >= 2) return;
  throw new ValueError(
    `${network}: ${channels} channel is left at scale ${scale}; expected at least 2, as with fewer ` +
      'scales, splitScales: false, or more channels. Of one number a density is made of ConditionalTransform or ' +
      'ElementwiseTransform.',
  );
}

/** The options that Glow and its conditional form share, with their defaults. */
export function glowDefaults(network: string, options: GlowOptions) {
  const { channels, frozenConv1x1 = false, actnorm = true } = options;
  const affine = affineDefaults(options);
  requireSizes(network, { channels, hidden: affine.hidden });
  requireBoolean(network, 'frozenConv1x1', frozenConv1x1);
  requireBoolean(network, 'actnorm', actnorm);
  return { channels, ...affine, frozenConv1x1, actnorm };
}
