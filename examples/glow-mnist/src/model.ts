/** The model of this example, and the random streams that a run draws from. */
import { Flow } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import type { RunConfig } from './options.ts';

/** Height and width of MNIST's images. */
export const side = 28;

/** Numbers per image. */
export const dims = side * side;

/**
 * Glow over images in [0, 1) with a standard normal base. The first ActNorm sets itself by the
 * data, so nothing else scales or shifts: log densities are those of (v + u)/256 as it is.
 *
 * @throws ValueError @throws ShapeError when 28 cannot be halved once per scale.
 */
export function buildFlow({ hidden, scales, steps, seed }: RunConfig): Flow {
  const random = randomStream(seed, 'weights');
  return new Flow({ network: new Glow({ channels: 1, hidden, scales, steps, random }) });
}

// Parts of one seed's stream, too far apart to meet. The batches' order lies behind them all.
const firstBlocks = { weights: 0, noise: 2 ** 40, testNoise: 2 ** 41, samples: 2 ** 42 };

/** The stream of one purpose: independent of all others, and the same for the same seed. */
export function randomStream(seed: number, purpose: keyof typeof firstBlocks): RandomStream {
  return new RandomStream(seed, firstBlocks[purpose]);
}
