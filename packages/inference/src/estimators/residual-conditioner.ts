/** The networks inside of estimators: what decides how a parameter is moved, given others and the summary. */
import { type ConditionerFactory, chain, Dense, residual, silu, withContext } from '@invnet/layers';
import type { RandomStream } from '@invnet/tensor';

/**
 * A residual network of two blocks (He et al., "Identity mappings in deep residual networks", 2016) with SiLU, that sees its
 * input and the context side by side.
 */
export function residualConditioner(hidden: number, random: RandomStream): ConditionerFactory {
  const dense = (inChannels: number, outChannels: number, gain = 1) =>
    new Dense({ inChannels, outChannels, gain, random });
  const block = () =>
    residual(chain(silu(), dense(hidden, hidden), silu(), dense(hidden, hidden, 0.1)));
  return withContext(({ inChannels, outChannels }) =>
    chain(dense(inChannels, hidden), block(), block(), silu(), dense(hidden, outChannels, 0.1)),
  );
}
