/** Earths to train and to test on: synthetic geology. */

import { layeredEarth } from '@invnet/datasets';
import type { RandomStream } from '@invnet/tensor';
import { spacing } from './survey.ts';

/** Mean thickness of layers, in metres: from thin ones, of two cells, to thick ones. */
const thickness = [50, 300] as const;
/** Depth of the water, in metres. */
const water = [150, 300] as const;
/** Most pockets of gas: every second earth has none. */
const pockets = 1;

/** Velocities in km/s, row by row, of layers under water, with up to three faults and a pocket of gas. */
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
    pockets,
  });
}

function between([low, high]: readonly [number, number], part: number): number {
  return low + (high - low) * part;
}
