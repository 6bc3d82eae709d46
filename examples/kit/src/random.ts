/** The random streams that a run draws from. */
import { RandomStream } from '@invnet/tensor';

/** Parts of one seed's stream, too far apart to meet. The order of `indexBatches` lies behind them all. */
const firstBlocks = {
  weights: 0,
  training: 2 ** 40,
  test: 2 ** 41,
  samples: 2 ** 42,
  validation: 2 ** 43,
};

/** Blocks of four numbers between one step's part and the next. */
const blocksPerStep = 2 ** 20;
/** Steps of a purpose. */
const steps = 2 ** 20;

/**
 * The stream of one purpose, and of one step or case of it: independent of all others, and the same for
 * the same seed. A step has room for 2²² numbers, a purpose for 2²⁰ steps; then they begin anew, and do not run into
 * the next purpose.
 *
 * @example randomStream(seed, 'training', step).normal([8, 2])
 */
export function randomStream(
  seed: number,
  purpose: keyof typeof firstBlocks,
  step = 0,
): RandomStream {
  return new RandomStream(seed, firstBlocks[purpose] + (step % steps) * blocksPerStep);
}
