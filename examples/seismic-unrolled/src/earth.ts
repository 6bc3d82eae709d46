/** Earths to train and to test on: synthetic geology. */

import { layeredEarth } from '@invnet/datasets';
import type { RandomStream } from '@invnet/tensor';
import { spacing } from './survey.ts';

/** Mean thickness of layers, in metres: thin ones as in a basin, and thick ones. */
const thickness = [100, 300] as const;
/** Depth of the water, in metres. */
const water = [150, 300] as const;

/** Velocities in km/s, row by row, of layers under water, with up to three faults. */
export function drawEarth(
  size: readonly [height: number, width: number],
  random: RandomStream,
): Float32Array {
  const [seed, layer, depth] = random.uniformArray(3, 0, 1);
  return layeredEarth({
    ...{ size, spacing },
    seed: Math.floor(seed! * 2 ** 32),
    thickness: between(thickness, layer!),
    water: between(water, depth!),
  });
}

function between([low, high]: readonly [number, number], part: number): number {
  return low + (high - low) * part;
}
