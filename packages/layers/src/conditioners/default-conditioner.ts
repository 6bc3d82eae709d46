/** The conditioner that a coupling makes when it is given none. */
import type { RandomStream } from '@invnet/tensor';
import { requireDimensions, requireModuleOptions, requireWhole } from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import { DenseBlock } from './dense-block.ts';
import { ResidualBlock } from './residual-block.ts';
import { WithContext } from './with-context.ts';

/** What the default conditioner of a coupling is made with. */
export interface ConditionerDefaults {
  /** Channels of the context, which it sees beside the part of x that stays. Default: 0. */
  readonly contextChannels?: number;
  /** Its width. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /** Draws its weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Sizes of a default conditioner. */
export interface DefaultConditionerOptions extends ConditionerDefaults {
  readonly inChannels: number;
  readonly outChannels: number;
}

/**
 * A `ResidualBlock`, or a `DenseBlock` for data without spatial axes; with a context it sees both,
 * joined along the channels.
 */
export function defaultConditioner(options: DefaultConditionerOptions): Conditioner {
  const names = ['inChannels', 'outChannels', 'contextChannels', 'hidden', 'ndims'];
  requireModuleOptions('defaultConditioner', options, names);
  const { inChannels, outChannels, contextChannels = 0, hidden = 64, ndims = 2, random } = options;
  requireWhole('defaultConditioner', 'inChannels', inChannels, 1);
  requireWhole('defaultConditioner', 'contextChannels', contextChannels, 0);
  requireDimensions('defaultConditioner', ndims, 0);
  const sizes = {
    inChannels: inChannels + contextChannels,
    hidden,
    outChannels,
    ...(random && { random }),
  };
  const inner = ndims === 0 ? new DenseBlock(sizes) : new ResidualBlock({ ...sizes, ndims });
  return contextChannels > 0 ? new WithContext(inner, { contextChannels }) : inner;
}
