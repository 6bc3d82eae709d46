/** What a `MadeBlock` is made of, and the checks of it. */
import {
  formatShape,
  type RandomStream,
  requireList,
  requireOneOf,
  ValueError,
} from '@invnet/tensor';
import { requireRepeats, requireSizes, requireWhole } from '../core/checks.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { relu } from '../elementwise/activations.ts';
import type { CausalOptions } from './causal-graph.ts';
import type { MadeBlocks } from './masked-layers.ts';

/** The largest mask: far more than any use, but a table that can be made. */
const MOST_WEIGHTS = 2 ** 26;

/** Options of a `MadeBlock` that do not say what it is for. */
export interface MadeOptions extends CausalOptions {
  /**
   * Units of each hidden layer; with blocks, of the first layer's and of each block's. For each channel to see all
   * that it may, layers need as many units as there are channels. Default: [64, 64].
   */
  readonly hidden?: readonly number[];
  /**
   * `plain` has activations between the layers. `residual` has a first layer, then for each entry of `hidden`,
   * all of which are equal, a block h + W₂ f(W₁ h), and `preactivated` one h + W₂ f(W₁ f(h)). Default: plain.
   */
  readonly blocks?: MadeBlocks;
  /** f. Default: `relu()`. */
  readonly activation?: Activation;
  /** Numbers of a context [N, contextChannels]. Default: 0, none. */
  readonly contextChannels?: number;
  /**
   * `joined`: the first layer sees the context beside the channels. `added`: it gets f of a layer of the
   * context's own, and each block a layer without f; then what depends on no channel has no unit, and does not
   * depend on the context either. Default: joined.
   */
  readonly context?: 'joined' | 'added';
  /** Draws the weights, and a random order. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Options of `MadeBlock`. */
export interface MadeBlockOptions extends MadeOptions {
  readonly channels: number;
  /** How many numbers it gives for each channel. */
  readonly size: number;
}

/** Names of `MadeOptions`. */
export const madeOptions: readonly string[] = [
  'hidden',
  'blocks',
  'activation',
  'contextChannels',
  'context',
  'order',
  'passes',
  'adjacency',
];

/** Options with their defaults. @throws ValueError for those that are out of range. */
export function madeDefaults(options: Omit<MadeBlockOptions, 'channels' | 'size' | 'random'>) {
  const { hidden = [64, 64], blocks = 'plain', activation = relu() } = options;
  const { contextChannels = 0, context = 'joined' } = options;
  requireList('MadeBlock', 'hidden', hidden, 'a list of widths, such as [64, 64]');
  requireRepeats('MadeBlock', 'the number of entries of hidden', hidden.length);
  for (const [i, width] of hidden.entries()) requireSizes('MadeBlock', { [`hidden[${i}]`]: width });
  requireOneOf('MadeBlock', 'blocks', blocks, ['plain', 'residual', 'preactivated']);
  if (blocks !== 'plain' && hidden.some((width) => width !== hidden[0])) {
    throw new ValueError(
      `MadeBlock: hidden is ${formatShape(hidden)}; expected equal widths, as blocks add to what they get.`,
    );
  }
  requireActivation('MadeBlock', 'activation', activation);
  requireWhole('MadeBlock', 'contextChannels', contextChannels, 0);
  requireOneOf('MadeBlock', 'context', context, ['joined', 'added']);
  return { hidden: [...hidden], blocks, activation, contextChannels, context };
}

/** @throws ValueError unless masks between layers of these widths are tables that the host can make. */
export function requireMasks(widths: readonly number[]): void {
  for (const [i, width] of widths.slice(1).entries()) {
    if (width * widths[i]! <= MOST_WEIGHTS) continue;
    throw new ValueError(
      `MadeBlock: a layer from ${widths[i]} to ${width} units; expected at most ${MOST_WEIGHTS} weights in it.`,
    );
  }
}
