/** Glow whose couplings see a context at each scale. Mathematics: docs/math/conditional-glow.md */

import {
  ActNorm,
  asConditioner,
  ConditionalGlowCoupling,
  Conv1x1,
  prefixNames,
  Sequential,
  ShuffleSqueeze,
} from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import type { GlowOptions } from './glow.ts';
import { MultiScale, requireSizes } from './multi-scale.ts';
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
export class ConditionalGlow extends SummarizedNetwork {
  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: ConditionalGlowOptions) {
    const { contextChannels, hidden = 64, ndims = 2, scaleFunction } = options;
    const { squeeze = new ShuffleSqueeze(), frozenConv1x1: frozen = false } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('ConditionalGlow', { contextChannels, hidden });
    const network = new MultiScale({
      ...options,
      name: 'ConditionalGlow',
      channels: [options.channels],
      squeeze,
      step: ([channels], scale) =>
        new Sequential({
          actnorm: new ActNorm({ channels: channels! }),
          conv1x1: new Conv1x1({ channels: channels!, frozen, random }),
          coupling: new ConditionalGlowCoupling({
            channels: channels!,
            contextChannels: contextChannels * 2 ** (ndims * (scale + 1)),
            hidden,
            ndims,
            random,
            ...(scaleFunction && { scaleFunction }),
          }),
        }),
      around: (inner) =>
        ndims === 0
          ? inner
          : new SummarizedNetwork({ network: inner, summary: asConditioner(squeeze) }),
    });
    const normalization = new ActNorm({ channels: contextChannels });
    prefixNames('context', normalization.parameters);
    super({ network, summary: asConditioner(normalization) });
  }
}
