/** What a multi-scale network may put behind the steps of a scale, for latents with a density of their own. */
import { type Bijection, Module, type State } from '@invnet/layers';
import { formatValue, type Tensor, ValueError } from '@invnet/tensor';

/** Where in a network latents are. */
export interface LatentPlace {
  /** Number of spatial axes. */
  readonly ndims: number;
  /** Do all channels leave here? Else the first half goes on, ⌈C/2⌉ of them. */
  readonly last: boolean;
}

/** Makes, for each scale that channels leave, the map that makes them standard normal. */
export abstract class LatentPrior<S extends State = Tensor> extends Module {
  /** The map of a scale's state, whose tensors have so many channels. What goes on passes it as it is. */
  abstract at(channels: readonly number[], place: LatentPlace): Bijection<S>;
}

/** The prior itself, or none. @throws ValueError for what is none. */
export function requirePrior<S extends State>(
  network: string,
  prior: LatentPrior<S> | undefined,
): LatentPrior<S> | undefined {
  if (prior === undefined || prior instanceof LatentPrior) return prior;
  throw new ValueError(
    `${network}: prior is ${formatValue(prior)}; expected one such as new LearnedPrior().`,
  );
}
