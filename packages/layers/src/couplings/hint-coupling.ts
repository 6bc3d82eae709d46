/**
 * The recursive coupling of HINT (Kruse et al., "HINT: hierarchical invertible neural transport for
 * density estimation and Bayesian inference", 2021). Mathematics: docs/math/couplings/hint-coupling.md
 */
import { RandomStream, requireBoolean, requireOneOf, ValueError } from '@invnet/tensor';
import { ChannelHalves, halvesOf, requireParts } from '../combinators/channel-halves.ts';
import { Composite } from '../combinators/composite.ts';
import { Identity } from '../combinators/identity.ts';
import { Parallel } from '../combinators/parallel.ts';
import { reverse } from '../combinators/reverse.ts';
import { compose } from '../combinators/sequential.ts';
import { type Conditioners, supplyConditioners } from '../conditioners/conditioner-factory.ts';
import type { Bijection } from '../core/bijection.ts';
import { requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import { Conv1x1 } from '../linear/conv1x1.ts';
import { Construction } from '../tree/construction.ts';
import type { Options } from '../tree/module.ts';
import {
  type AffineOptions,
  affineDefaults,
  affineOptions,
  BasicCoupling,
  type BasicCouplingOptions,
} from './basic-coupling.ts';
import { RecursiveCoupling } from './recursive-coupling.ts';

/** How channels are mixed by an orthogonal 1×1 convolution around the recursion. */
export type HintPermutation = 'none' | 'lower' | 'both' | 'full';

/** Options of `HintCoupling`. */
export interface HintCouplingOptions extends Omit<AffineOptions, 'contextChannels'> {
  /** At least 2. */
  readonly channels: number;
  /**
   * `full` mixes all channels before; `both` before, and back behind; `lower` only the second half,
   * before. Default: `none`.
   */
  readonly permute?: HintPermutation;
  /** Levels of the recursion. Default: as many as leave at least 2 channels to each coupling. */
  readonly depth?: number;
  /**
   * One coupling per level instead of one per node, as in InvertibleNetworks.jl; its gradients add
   * up over the nodes. Channels are then divisible by 2^depth. Default: false.
   */
  readonly shared?: boolean;
  /**
   * Makes the conditioners of the couplings, or all of them, each node's before those within its halves.
   * Default: see `BasicCoupling`.
   */
  readonly conditioner?: Conditioners | undefined;
}

/** The names of the options. */
export const hintOptions = [
  ...affineOptions.filter((name) => name !== 'contextChannels'),
  'channels',
  'permute',
  'depth',
  'shared',
  'conditioner',
];

/**
 * H(x) = (H(x₁), c(x₁, H(x₂))) on the halves of the channels, c an affine coupling; at the deepest
 * level H is a coupling alone. logdet is the sum over all couplings. The Jacobian is a full block
 * triangle, where that of one coupling is mostly diagonal.
 *
 * Parameters are named by the path of their node, `recursion.coupling.conditioner.w1`,
 * `recursion.first.coupling.conditioner.w1`, …, or, when shared, by their level, `recursion.levels.0.conditioner.w1`.
 *
 * @example
 * const hint = new HintCoupling({ channels: 8, hidden: 32, permute: 'full' });
 * const { y, logdet } = hint.forward(x); // x [N, 8, H, W]
 */
export class HintCoupling extends Composite {
  static readonly type: string = 'HintCoupling';
  readonly recursion: Bijection;
  /** Mixes the channels, or the second half of them, before the recursion. */
  readonly permutation?: Bijection;
  readonly #options: Options;
  readonly #permute: HintPermutation;

  /** @throws ValueError for channels that the recursion cannot halve, or an unknown permutation. */
  constructor(options: HintCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('HintCoupling', options, hintOptions);
    const { channels, permute = 'none', random = new RandomStream(0) } = options;
    requireParts('HintCoupling', channels);
    requireOneOf('HintCoupling', 'permute', permute, ['none', 'lower', 'both', 'full']);
    const recursion = { depth: deepest(channels), ...hintDefaults(options), channels };
    const supply = supplyConditioners('HintCoupling', options.conditioner);
    this.recursion = new Recursion({ ...recursion, conditioner: supply.conditioner, random });
    this.#options = { ...recursion, permute, conditioner: supply.made };
    this.#permute = permute;
    const permutation = permutationOf(permute, channels, random);
    if (permutation) this.permutation = permutation;
    building.complete();
  }

  get options() {
    return this.#options;
  }

  protected get whole(): Bijection {
    const { permutation, recursion } = this;
    if (!permutation) return recursion;
    const back = this.#permute === 'both' ? [reverse(permutation)] : [];
    return compose(permutation, recursion, ...back);
  }
}

/** Options of recursions without their channels, defaults filled in; without a depth, the deepest. */
export function hintDefaults(options: Omit<HintCouplingOptions, 'channels' | 'permute'>) {
  const { hidden, ndims, scaleFunction } = affineDefaults(options);
  const { shared = false, depth } = options;
  requireBoolean('HintCoupling', 'shared', shared);
  return { hidden, ndims, scaleFunction, shared, ...(depth !== undefined && { depth }) };
}

function permutationOf(
  permute: HintPermutation,
  channels: number,
  random: RandomStream,
): Bijection | undefined {
  switch (permute) {
    case 'none':
      return undefined;
    case 'full':
    case 'both':
      return new Conv1x1({ channels, random });
    case 'lower':
      return new SecondHalfMixing(halvesOf(channels), random);
  }
}

/** A 1×1 convolution on the second half of the channels. */
class SecondHalfMixing extends Composite {
  readonly inner: Conv1x1;
  readonly #halves: readonly [number, number];

  constructor(halves: readonly [number, number], random: RandomStream) {
    super();
    this.inner = new Conv1x1({ channels: halves[1], random });
    this.#halves = halves;
  }

  get options() {
    return {};
  }

  protected get whole() {
    return new ChannelHalves(new Parallel(new Identity(), this.inner), this.#halves);
  }
}

/** What a recursion is made of. */
interface RecursionOptions extends Omit<BasicCouplingOptions, 'channels'> {
  readonly channels: number;
  readonly depth: number;
  readonly shared: boolean;
}

/** H, with the couplings of its levels where nodes share them. */
class Recursion extends Composite {
  readonly levels?: readonly BasicCoupling[];
  readonly inner: Bijection;

  constructor({ channels, depth, shared, ...affine }: RecursionOptions) {
    super();
    using building = new Construction();
    requireWhole('HintCoupling', 'depth', depth, 1);
    if (depth > deepest(channels)) {
      throw new ValueError(
        `HintCoupling: depth ${depth} with ${channels} channels; expected at most ` +
          `${deepest(channels)}, which leaves 2 channels to the smallest coupling.`,
      );
    }
    if (shared && channels % 2 ** depth !== 0) {
      throw new ValueError(
        `HintCoupling: ${channels} channels cannot be halved ${depth} times, as couplings that are ` +
          'shared per level need; expected a multiple of ' +
          `${2 ** depth}, or shared: false.`,
      );
    }
    const make = (halves: readonly [number, number]) =>
      new BasicCoupling({ ...affine, channels: halves });
    const levels = Array.from({ length: shared ? depth : 0 }, (_, i) =>
      make(halvesOf(channels / 2 ** i)),
    );
    const node = (width: number, level: number): Bijection => {
      const halves = halvesOf(width);
      const coupling = levels[level] ?? make(halves);
      if (level + 1 === depth) return new ChannelHalves(new LastNode(coupling), halves);
      const first = node(halves[0], level + 1);
      const second = node(halves[1], level + 1);
      return new ChannelHalves(new RecursiveCoupling({ first, second, coupling }), halves);
    };
    if (shared) this.levels = levels;
    this.inner = node(channels, 0);
    building.complete();
  }

  get options() {
    return {};
  }

  protected get whole() {
    return this.inner;
  }
}

/** A node of the recursion without any inside it. */
class LastNode extends Composite<Pair> {
  readonly coupling: BasicCoupling;

  constructor(coupling: BasicCoupling) {
    super();
    this.coupling = coupling;
  }

  get options() {
    return {};
  }

  protected get whole() {
    return this.coupling;
  }
}

/** How often channels can be halved with at least one left to each half. */
function deepest(channels: number): number {
  return Math.floor(Math.log2(channels));
}
