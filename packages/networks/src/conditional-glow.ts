/** Glow whose couplings see a context at each scale. Mathematics: docs/math/networks/conditional-glow.md */

import {
  ActNorm,
  asConditioner,
  type Bijection,
  ConditionalGlowCoupling,
  Construction,
  Conv1x1,
  Identity,
  type Options,
  requireModuleOptions,
  requireSizes,
  Sequential,
  ShuffleSqueeze,
} from '@invnet/layers';
import { RandomStream, ValueError } from '@invnet/tensor';
import { type GlowOptions, glowDefaults, glowOptions, requireHalves } from './glow.ts';
import { MultiScale, multiScaleDefaults } from './multi-scale.ts';
import { SummarizedNetwork } from './summarized-network.ts';

/** Options of `ConditionalGlow`. */
export interface ConditionalGlowOptions extends GlowOptions {
  /** Channels of the context, which has the batch size and the resolution of the data. */
  readonly contextChannels: number;
}

/**
 * A map of x to y of the same shape for every context: per scale K × (ActNorm, Conv1x1,
 * ConditionalGlowCoupling). The context is normalized by an `ActNorm` of its own, and squeezed
 * along with x, so that each scale sees all of it. log p(x | context) follows as for `Glow`.
 *
 * Parameters are named as in `Glow`, and `context.scale`, `context.shift`.
 *
 * @example
 * const net = new ConditionalGlow({ channels: 1, contextChannels: 2, hidden: 32 });
 * const { y, logdet } = net.forward(x, context); // x [N, 1, H, W], context [N, 2, H, W]
 * const { x: sample } = net.inverse(z, context);
 */
export class ConditionalGlow extends MultiScale {
  static override readonly type: string = 'ConditionalGlow';
  /** Normalizes the context; an `ActNorm`, unless that is switched off. */
  readonly context: Bijection;
  readonly #options: Options;

  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: ConditionalGlowOptions) {
    using building = new Construction();
    requireModuleOptions('ConditionalGlow', options, [...glowOptions, 'contextChannels']);
    const { contextChannels, squeeze = new ShuffleSqueeze() } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('ConditionalGlow', { contextChannels });
    const resolved = glowDefaults('ConditionalGlow', options);
    const { hidden, ndims, scaleFunction, frozenConv1x1: frozen, actnorm } = resolved;
    super({
      ...multiScaleDefaults('ConditionalGlow', options),
      channels: [options.channels],
      squeeze,
      conditioner: options.conditioner,
      step: ([channels], scale, conditioner) => {
        requireHalves('ConditionalGlow', channels!, scale);
        return new Sequential({
          ...(actnorm && { actnorm: new ActNorm({ channels: channels! }) }),
          conv1x1: new Conv1x1({ channels: channels!, frozen, random }),
          coupling: new ConditionalGlowCoupling({
            channels: channels!,
            contextChannels: contextChannels * 2 ** (ndims * (scale + 1)),
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
    this.context = actnorm ? new ActNorm({ channels: contextChannels }) : new Identity();
    this.#options = { ...resolved, contextChannels };
    if (!this.scales.some(({ steps }) => steps.usesContext)) {
      throw new ValueError(
        'ConditionalGlow: none of its conditioners uses a context; expected some that do, such as those ' +
          'of withContext.',
      );
    }
    building.complete();
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

  /** Each scale sees the context squeezed as often as the data. */
  protected override around(network: Bijection): Bijection {
    if (this.sizes.ndims === 0) return network;
    return new SummarizedNetwork({ network, summary: asConditioner(this.squeeze) });
  }

  protected override get whole(): Bijection {
    return new SummarizedNetwork({ network: super.whole, summary: asConditioner(this.context) });
  }
}
