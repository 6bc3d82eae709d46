/**
 * Fully hyperbolic networks (Lensink, Peters and Haber, "Fully hyperbolic convolutional neural
 * networks", 2019). Mathematics: docs/math/couplings/hyperbolic-layer.md
 */

import {
  Composite,
  type Conditioners,
  Construction,
  channelsAfter,
  HyperbolicLayer,
  type Options,
  type Pair,
  type ResolutionChange,
  requireModuleOptions,
  Sequential,
  supplyConditioners,
} from '@invnet/layers';
import { RandomStream, requireList, requireOptions, ValueError } from '@invnet/tensor';

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
  /** Makes the forces of the layers, or all of them, in order. Default: see `HyperbolicLayer`. */
  readonly conditioner?: Conditioners | undefined;
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
export class HyperbolicNetwork extends Composite<Pair> {
  static readonly type: string = 'HyperbolicNetwork';
  readonly inner: Sequential<Pair>;
  readonly #options: Options;

  /** @throws ValueError for an empty architecture, or channels that doubling cannot divide. */
  constructor(options: HyperbolicNetworkOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'architecture', 'ndims', 'kernel', 'stepSize', 'conditioner'];
    requireModuleOptions('HyperbolicNetwork', options, names);
    const { architecture, ndims = 2, kernel = 3, stepSize = 1 } = options;
    const { random = new RandomStream(0) } = options;
    requireList('HyperbolicNetwork', 'architecture', architecture);
    if (architecture.length === 0) {
      throw new ValueError('HyperbolicNetwork: expected at least one layer in the architecture.');
    }
    let { channels } = options;
    const { conditioner, made } = supplyConditioners('HyperbolicNetwork', options.conditioner);
    const sizes = { ndims, kernel, stepSize };
    const layers = architecture.map((stage) => {
      requireOptions('HyperbolicNetwork, architecture', stage, ['resolution', 'hidden']);
      const layer = new HyperbolicLayer({ ...sizes, ...stage, channels, conditioner, random });
      channels = channelsAfter(channels, stage.resolution ?? 'keep', ndims);
      return layer;
    });
    this.inner = new Sequential(layers);
    const stages = layers.map(({ options: { resolution, hidden } }) => ({ resolution, hidden }));
    const { channels: before } = options;
    this.#options = { ...sizes, channels: before, architecture: stages, conditioner: made };
    building.complete();
  }

  get options() {
    return this.#options;
  }

  protected get whole() {
    return this.inner;
  }
}
