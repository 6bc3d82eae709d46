/**
 * HINT over several scales (Kruse et al., "HINT: hierarchical invertible neural transport for
 * density estimation and Bayesian inference", 2021). Mathematics: docs/math/networks/hint-networks.md
 */

import {
  ActNorm,
  type Bijection,
  HaarSqueeze,
  HintCoupling,
  type HintCouplingOptions,
  hintDefaults,
  hintOptions,
  type Options,
  requireModuleOptions,
  requireSizes,
  Sequential,
} from '@invnet/layers';
import { RandomStream, requireBoolean } from '@invnet/tensor';
import type { LatentPrior } from './latent-prior.ts';
import {
  MultiScale,
  type MultiScaleSizes,
  multiScaleDefaults,
  sizeOptions,
} from './multi-scale.ts';

/** Options of `MultiScaleHint`; those of its couplings beside the sizes. */
export interface MultiScaleHintOptions extends MultiScaleSizes, HintCouplingOptions {
  /** Channels of the data. */
  readonly channels: number;
  /** Default: `new HaarSqueeze()`. */
  readonly squeeze?: Bijection;
  /** Normalizes before each coupling by an `ActNorm`. Default: true. */
  readonly actnorm?: boolean;
  /** A density of the latents' own: `new LearnedPrior()`. Default: standard normal. */
  readonly prior?: LatentPrior | undefined;
}

/**
 * Per scale a squeeze, then K × (ActNorm, HintCoupling). The output has the input's shape.
 *
 * Parameters are named `scales.0.steps.3.coupling.recursion.coupling.conditioner.w1`.
 *
 * @example
 * const net = new MultiScaleHint({ channels: 1, hidden: 32, scales: 2, steps: 4 });
 * const { y, logdet } = net.forward(x); // x and y [N, 1, H, W], H and W divisible by 4
 */
export class MultiScaleHint extends MultiScale {
  static override readonly type: string = 'MultiScaleHint';
  readonly #options: Options;

  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: MultiScaleHintOptions) {
    const names = [...sizeOptions, ...hintOptions, 'squeeze', 'actnorm', 'prior'];
    requireModuleOptions('MultiScaleHint', options, names);
    const { channels, permute = 'full', actnorm = true, random = new RandomStream(0) } = options;
    const coupling = { ...hintDefaults(options), permute };
    requireSizes('MultiScaleHint', { channels, hidden: coupling.hidden });
    requireBoolean('MultiScaleHint', 'actnorm', actnorm);
    super({
      ...multiScaleDefaults('MultiScaleHint', options),
      channels: [channels],
      squeeze: options.squeeze ?? new HaarSqueeze(),
      conditioner: options.conditioner,
      step: ([width], _, conditioner) =>
        new Sequential({
          ...(actnorm && { actnorm: new ActNorm({ channels: width! }) }),
          coupling: new HintCoupling({
            ...coupling,
            conditioner,
            channels: width!,
            random,
          }),
        }),
      prior: options.prior,
    });
    this.#options = { channels, ...coupling, actnorm };
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
