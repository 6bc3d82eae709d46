/**
 * The joint coupling of data and condition of conditional HINT (Kruse et al., "HINT: hierarchical
 * invertible neural transport for density estimation and Bayesian inference", 2021).
 * Mathematics: docs/math/couplings/conditional-hint-coupling.md
 */
import { RandomStream, requireBoolean } from '@invnet/tensor';
import { Composite } from '../combinators/composite.ts';
import { Swapped } from '../combinators/swapped.ts';
import { supplyConditioners } from '../conditioners/conditioner-factory.ts';
import type { Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import { Construction } from '../tree/construction.ts';
import type { Options } from '../tree/module.ts';
import { BasicCoupling } from './basic-coupling.ts';
import {
  HintCoupling,
  type HintCouplingOptions,
  hintDefaults,
  hintOptions,
} from './hint-coupling.ts';
import { RecursiveCoupling } from './recursive-coupling.ts';

/** Options of `ConditionalHintCoupling`. */
export interface ConditionalHintCouplingOptions extends Omit<HintCouplingOptions, 'permute'> {
  /** Channels of the data x, at least 2. */
  readonly channels: number;
  /** Channels of the condition y, at least 2. Default: `channels`. */
  readonly conditionChannels?: number;
  /** Mixes the channels of x and those of y by 1×1 convolutions first. Default: true. */
  readonly permute?: boolean;
}

/**
 * (x, y) ↦ (c(y, H(W x)), H′(V y)): a HINT recursion on each lane, and an affine coupling c that
 * moves x in dependence on y. log-determinants add up. x and y have one batch size and resolution.
 *
 * The condition's lane stands alone as `lane`: it maps y without x, as sampling x for a given y
 * needs. Parameters are named `coupling.conditioner.w1`, `lane.permutation.v1`, `data.recursion.…`.
 *
 * @example
 * const hint = new ConditionalHintCoupling({ channels: 4, hidden: 32 });
 * const { y: [zx, zy] } = hint.forward([x, y]);
 * const { y: sameZy } = hint.lane.forward(y);
 */
export class ConditionalHintCoupling extends Composite<Pair> {
  static readonly type: string = 'ConditionalHintCoupling';
  /** y ↦ H′(V y) */
  readonly lane: HintCoupling;
  /** x ↦ H(W x) */
  readonly data: HintCoupling;
  /** c */
  readonly coupling: BasicCoupling;
  readonly #options: Options;

  /** @throws ValueError for channels that the recursions cannot halve. */
  constructor(options: ConditionalHintCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ConditionalHintCoupling', options, [...hintOptions, 'conditionChannels']);
    const { channels, conditionChannels = channels, permute = true } = options;
    const { random = new RandomStream(0) } = options;
    const hint = hintDefaults(options);
    const { hidden, ndims, scaleFunction } = hint;
    requireBoolean('ConditionalHintCoupling', 'permute', permute);
    const supply = supplyConditioners('ConditionalHintCoupling', options.conditioner);
    const own = { conditioner: supply.conditioner, random };
    const laneOf = (width: number) =>
      new HintCoupling({ ...hint, ...own, channels: width, permute: permute ? 'full' : 'none' });
    this.lane = laneOf(conditionChannels);
    this.data = laneOf(channels);
    const pair = [conditionChannels, channels] as const;
    this.coupling = new BasicCoupling({ hidden, ndims, scaleFunction, channels: pair, ...own });
    this.#options = { channels, conditionChannels, ...hint, permute, conditioner: supply.made };
    building.complete();
  }

  get options() {
    return this.#options;
  }

  protected get whole(): Bijection<Pair> {
    const { lane, data, coupling } = this;
    return new Swapped(new RecursiveCoupling({ first: lane, second: data, coupling }));
  }
}
