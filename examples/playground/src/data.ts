/** The densities that the page offers, and batches of them. */
import {
  banana,
  checkerboard,
  eightGaussians,
  type Samplable,
  swirl,
  twoMoons,
} from '@invnet/datasets';
import { type RandomStream, tensor } from '@invnet/tensor';
import type { DensityName } from './protocol.ts';

/** Points that are drawn by hand are blurred by this much, or a flow would chase single points. */
const blur = 0.05;

/** @throws RangeError when too few points were drawn. */
export function samplable(name: DensityName, points: Float32Array): Samplable {
  const named = { banana, swirl, twoMoons, checkerboard, eightGaussians };
  return name === 'drawn' ? drawn(points) : named[name]();
}

function drawn(points: Float32Array): Samplable {
  const count = points.length / 2;
  if (count < 20) {
    throw new RangeError(`${count} points are drawn; draw at least 20.`);
  }
  return {
    sample(n, random: RandomStream) {
      const u = random.uniformArray(n);
      const chosen = random.normalArray(2 * n, blur);
      for (let i = 0; i < n; i++) {
        const k = Math.min(count - 1, Math.floor(u[i]! * count));
        chosen[2 * i]! += points[2 * k]!;
        chosen[2 * i + 1]! += points[2 * k + 1]!;
      }
      return tensor(chosen, [n, 2]);
    },
  };
}
