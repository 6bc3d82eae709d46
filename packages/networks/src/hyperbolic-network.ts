/**
 * Fully hyperbolic networks (Lensink, Peters and Haber, "Fully hyperbolic convolutional neural
 * networks", 2019). Mathematics: docs/math/hyperbolic-layer.md
 */

import {
  channelsAfter,
  HyperbolicLayer,
  type Pair,
  type ResolutionChange,
  Sequential,
} from '@invnet/layers';
import { RandomStream, ValueError } from '@invnet/tensor';

/** One layer of the architecture. */
export interface HyperbolicStage {
  /** Default: `keep`. */
  readonly resolution?: ResolutionChange;
  /** Channels between the two convolutions. Default: those of the state. */
  readonly hidden?: number;
}

/** Options of `HyperbolicNetwork`. */
export interface HyperbolicNetworkOptions {
  /** Channels of each of the two states. */
  readonly channels: number;
  /** The layers in order, at least one. */
  readonly architecture: readonly HyperbolicStage[];
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size. Default: 3. */
  readonly kernel?: number;
  /** Step size α of all layers. Default: 1. */
  readonly stepSize?: number;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/**
 * Leapfrog steps of a non-linear wave equation on a pair of states, which change the resolution on
 * the way; logdet = 0. Parameters are named `0.step.force.w`.
 *
 * @example
 * const net = new HyperbolicNetwork({
 *   channels: 4,
 *   architecture: [{ hidden: 16 }, { resolution: 'halve' }, { resolution: 'double', hidden: 16 }],
 * });
 * const { y: [previous, current] } = net.forward([x, x]); // x [N, 4, H, W]
 */
export class HyperbolicNetwork extends Sequential<Pair> {
  /** @throws ValueError for an empty architecture, or channels that doubling cannot divide. */
  constructor(options: HyperbolicNetworkOptions) {
    const { architecture, ndims = 2, random = new RandomStream(0), ...rest } = options;
    if (architecture.length === 0) {
      throw new ValueError('HyperbolicNetwork: expected at least one layer in the architecture.');
    }
    let { channels } = options;
    super(
      architecture.map((stage) => {
        const layer = new HyperbolicLayer({ ...rest, ...stage, channels, ndims, random });
        channels = channelsAfter(channels, stage.resolution ?? 'keep', ndims);
        return layer;
      }),
    );
  }
}
