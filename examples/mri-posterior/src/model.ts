/** The network: a conditional Glow over the coordinates of coordinates.ts. */
import { Flow } from '@invnet/flows';
import { ConditionalGlow } from '@invnet/networks';
import type { RandomStream } from '@invnet/tensor';
import type { Channels } from './problem.ts';

/** Sizes of the network. */
export interface ModelSizes {
  /** Scales, each of half the resolution. */
  readonly scales: number;
  /** Flow steps per scale. */
  readonly depth: number;
  /** Channels inside the couplings. */
  readonly hidden: number;
}

/** p(v | context) with weights as drawn. @throws ValueError @throws ShapeError */
export function buildFlow(
  { channels, contextChannels }: Channels,
  { scales, depth: steps, hidden }: ModelSizes,
  random: RandomStream,
): Flow {
  return new Flow({
    network: new ConditionalGlow({
      channels,
      contextChannels,
      scales,
      steps,
      hidden,
      random,
    }),
  });
}
