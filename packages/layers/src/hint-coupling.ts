/**
 * The recursive coupling of HINT (Kruse et al., "HINT: hierarchical invertible neural transport for
 * density estimation and Bayesian inference", 2021). Mathematics: docs/math/hint-coupling.md
 */
import { RandomStream, ValueError } from '@invnet/tensor';
import { type AffineOptions, BasicCoupling } from './basic-coupling.ts';
import type { Bijection } from './bijection.ts';
import { ChannelHalves, halvesOf } from './channel-halves.ts';
import { requireWhole } from './checks.ts';
import { Conv1x1 } from './conv1x1.ts';
import { Identity } from './identity.ts';
import { Parallel } from './parallel.ts';
import { prefixNames } from './parameter.ts';
import { RecursiveCoupling } from './recursive-coupling.ts';
import { reverse } from './reverse.ts';
import { Sequential } from './sequential.ts';

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
}

/**
 * H(x) = (H(x₁), c(x₁, H(x₂))) on the halves of the channels, c an affine coupling; at the deepest
 * level H is a coupling alone. logdet is the sum over all couplings. The Jacobian is a full block
 * triangle, where that of one coupling is mostly diagonal.
 *
 * Parameters are named by the path of their node, `recursion.coupling.conditioner.w1`,
 * `recursion.first.coupling.conditioner.w1`, …, or by their level, `recursion.levels.0.…`.
 *
 * @example
 * const hint = new HintCoupling({ channels: 8, hidden: 32, permute: 'full' });
 * const { y, logdet } = hint.forward(x); // x [N, 8, H, W]
 */
export class HintCoupling extends Sequential {
  /** @throws ValueError for channels that the recursion cannot halve, or an unknown permutation. */
  constructor(options: HintCouplingOptions) {
    requireWhole('HintCoupling', 'channels', options.channels, 2);
    const random = options.random ?? new RandomStream(0);
    super(
      withPermutation(
        options.permute ?? 'none',
        options.channels,
        random,
        makeRecursion({ ...options, random }),
      ),
    );
  }
}

function withPermutation(
  permute: HintPermutation,
  channels: number,
  random: RandomStream,
  recursion: Bijection,
): Record<string, Bijection> {
  switch (permute) {
    case 'none':
      return { recursion };
    case 'full':
      return { permutation: new Conv1x1({ channels, random }), recursion };
    case 'both': {
      const permutation = new Conv1x1({ channels, random });
      return { permutation, recursion, back: reverse(permutation) };
    }
    case 'lower': {
      const halves = halvesOf(channels);
      const mix = new Conv1x1({ channels: halves[1], random });
      const permutation = new ChannelHalves(new Parallel(new Identity(), mix), halves);
      return { permutation, recursion };
    }
    default:
      throw new ValueError(
        `HintCoupling: permute is '${permute}'; expected none, lower, both or full.`,
      );
  }
}

function makeRecursion(options: HintCouplingOptions): Bijection {
  const { channels, depth = deepest(channels), shared = false } = options;
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
  const { permute: _, shared: __, depth: ___, ...affine } = options;
  const make = (halves: readonly [number, number], name: string) => {
    const coupling = new BasicCoupling({ ...affine, channels: halves });
    prefixNames(name, coupling.parameters);
    return coupling;
  };
  const levels = shared
    ? Array.from({ length: depth }, (_, i) => make(halvesOf(channels / 2 ** i), `levels.${i}`))
    : [];
  const node = (width: number, level: number, path: string): Bijection => {
    const halves = halvesOf(width);
    const coupling = levels[level] ?? make(halves, `${path}coupling`);
    if (level + 1 === depth) return new ChannelHalves(coupling, halves, 'HintCoupling');
    const first = node(halves[0], level + 1, `${path}first.`);
    const second = node(halves[1], level + 1, `${path}second.`);
    const pair = new RecursiveCoupling({ first, second, coupling });
    return new ChannelHalves(pair, halves, 'HintCoupling');
  };
  return node(channels, 0, '');
}

/** How often channels can be halved with at least one left to each half. */
function deepest(channels: number): number {
  return Math.floor(Math.log2(channels));
}
