/**
 * A leapfrog step of a hyperbolic network (Lensink, Peters and Haber, "Fully hyperbolic
 * convolutional neural networks", 2019). Mathematics: docs/math/couplings/hyperbolic-layer.md
 */
import { requireOneOf, ValueError } from '@invnet/tensor';
import { Composite } from '../combinators/composite.ts';
import { Parallel } from '../combinators/parallel.ts';
import { reverse } from '../combinators/reverse.ts';
import { compose } from '../combinators/sequential.ts';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import {
  SymmetricBlock,
  type SymmetricBlockOptions,
  symmetricBlockOptions,
} from '../conditioners/symmetric-block.ts';
import type { Bijection } from '../core/bijection.ts';
import { requireDimensions, requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import type { Pair } from '../core/state.ts';
import { HaarSqueeze } from '../squeezes/haar-squeeze.ts';
import { Construction } from '../tree/construction.ts';
import { Leapfrog } from './leapfrog.ts';

/**
 * What happens to the resolution before the step: it stays, or a Haar transform halves it (channels
 * times 2 per axis) or doubles it (channels divided by 2 per axis).
 */
export type ResolutionChange = 'keep' | 'halve' | 'double';

/** Options of `HyperbolicLayer`. */
export interface HyperbolicLayerOptions extends SymmetricBlockOptions {
  /** Channels of each of the two states before the change of resolution. */
  readonly channels: number;
  /** Default: `keep`. */
  readonly resolution?: ResolutionChange;
  /** Step size α of the second time derivative. Default: 1. */
  readonly stepSize?: number;
  /** The force, which keeps the shape, or a function that makes it. Default: a `SymmetricBlock`. */
  readonly conditioner?: Conditioner | ConditionerFactory | undefined;
}

/**
 * (x₀, x₁) ↦ (x₁, 2x₁ − x₀ − α Kᵀrelu(K x₁ + b)), on states whose resolution was changed first;
 * logdet = 0. `backward` evaluates K and its adjoint once each for the recomputation.
 *
 * @example
 * const layer = new HyperbolicLayer({ channels: 4, hidden: 16, resolution: 'halve' });
 * const { y: [current, next] } = layer.forward([previous, current]); // [N, 4, H, W] → [N, 16, H/2, W/2]
 */
export class HyperbolicLayer extends Composite<Pair> {
  static readonly type: string = 'HyperbolicLayer';
  readonly step: Leapfrog;
  readonly #options: Required<Omit<HyperbolicLayerOptions, 'random' | 'conditioner'>>;
  readonly #conditioner: Conditioner | undefined;

  /** @throws ValueError for channels that doubling cannot divide, or an unknown resolution change. */
  constructor(options: HyperbolicLayerOptions) {
    super();
    using building = new Construction();
    const names = [...symmetricBlockOptions, 'resolution', 'stepSize', 'conditioner'];
    requireModuleOptions('HyperbolicLayer', options, names);
    const { resolution = 'keep', stepSize = 1, random, ndims = 2, kernel = 3 } = options;
    const channels = channelsAfter(options.channels, resolution, ndims);
    const { hidden = channels } = options;
    const shape = { inChannels: channels, outChannels: channels, ndims, contextChannels: 0 };
    const { conditioner: given } = options;
    const force =
      given === undefined
        ? new SymmetricBlock({ channels, hidden, ndims, kernel, ...(random && { random }) })
        : makeConditioner('HyperbolicLayer', given, shape, {});
    this.step = new Leapfrog({ force, stepSize });
    this.#conditioner = given === undefined ? given : force;
    const before = options.channels;
    this.#options = { channels: before, hidden, ndims, kernel, resolution, stepSize };
    building.complete();
  }

  get options() {
    return { ...this.#options, conditioner: this.#conditioner };
  }

  protected get whole(): Bijection<Pair> {
    if (this.#options.resolution === 'keep') return this.step;
    const haar = new HaarSqueeze();
    const halve = new Parallel(haar, haar);
    return compose(this.#options.resolution === 'halve' ? halve : reverse(halve), this.step);
  }
}

/** Channels that a change of resolution leaves. @throws ValueError when they do not divide. */
export function channelsAfter(
  channels: number,
  resolution: ResolutionChange,
  ndims: number,
): number {
  requireWhole('HyperbolicLayer', 'channels', channels, 1);
  requireDimensions('HyperbolicLayer', ndims, 1);
  requireOneOf('HyperbolicLayer', 'resolution', resolution, ['keep', 'halve', 'double']);
  switch (resolution) {
    case 'keep':
      return channels;
    case 'halve':
      return channels * 2 ** ndims;
    case 'double':
      if (channels % 2 ** ndims !== 0) {
        throw new ValueError(
          `HyperbolicLayer: ${channels} channels cannot double the resolution of ${ndims} axes; ` +
            `expected a multiple of ${2 ** ndims}.`,
        );
      }
      return channels / 2 ** ndims;
  }
}
