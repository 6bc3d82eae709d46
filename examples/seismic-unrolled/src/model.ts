/** The network of this example: the loop of its authors' own experiment. */
import { named } from '@invnet/layers';
import { UnrolledLoop } from '@invnet/networks';
import type { RandomStream } from '@invnet/tensor';
import type { Survey } from './survey.ts';

/** Sizes of the network. */
export interface LoopConfig {
  readonly iterations: number;
  /** Channels of the image, which is one, and of the loop's memory. */
  readonly state: number;
  /** Channels within the couplings. */
  readonly hidden: number;
}

/**
 * A loop whose couplings are those of HINT, on all channels between two mixings. Gradients are not normalized by the first
 * shot's: all shots come in units of their own.
 */
export function buildLoop(
  { iterations, state, hidden }: LoopConfig,
  { survey, random }: { readonly survey: Survey; readonly random: RandomStream },
): UnrolledLoop {
  return new UnrolledLoop({
    memoryChannels: state - 1,
    iterations,
    operator: named('survey', survey),
    coupling: 'hint',
    hidden,
    actnorm: false,
    random,
  });
}
