/**
 * HINT over several scales (Kruse et al., "HINT: hierarchical invertible neural transport for
 * density estimation and Bayesian inference", 2021). Mathematics: docs/math/hint-networks.md
 */

import {
  ActNorm,
  type Bijection,
  HaarSqueeze,
  HintCoupling,
  type HintCouplingOptions,
  Sequential,
} from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { MultiScale, type MultiScaleSizes, requireSizes } from './multi-scale.ts';

/** Options of `MultiScaleHint`; those of its couplings beside the sizes. */
export interface MultiScaleHintOptions extends MultiScaleSizes, HintCouplingOptions {
  /** Channels of the data. */
  readonly channels: number;
  /** Default: `new HaarSqueeze()`. */
  readonly squeeze?: Bijection;
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
  /** @throws ValueError for sizes that are not whole and positive, or cannot be halved. */
  constructor(options: MultiScaleHintOptions) {
    const { hidden = 64, permute = 'full', squeeze = new HaarSqueeze() } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('MultiScaleHint', { hidden });
    super({
      ...options,
      name: 'MultiScaleHint',
      channels: [options.channels],
      squeeze,
      step: ([channels]) =>
        new Sequential({
          actnorm: new ActNorm({ channels: channels! }),
          coupling: new HintCoupling({ ...options, channels: channels!, hidden, permute, random }),
        }),
    });
  }
}
