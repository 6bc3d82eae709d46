/** Central differences along chosen directions of one tensor. */
import type { RandomStream } from '@invnet/tensor';

/** Up to this size every coordinate is checked, beyond it a few and some random directions. */
const smallSize = 12;

/**
 * Directions to check a gradient of `size` numbers along: all coordinates of a small tensor; of a
 * larger one, six random coordinates and three normal vectors of unit length.
 */
export function checkDirections(size: number, random: RandomStream): Float64Array[] {
  const coordinate = (i: number) => {
    const e = new Float64Array(size);
    e[i] = 1;
    return e;
  };
  if (size <= smallSize) return Array.from({ length: size }, (_, i) => coordinate(i));
  const chosen = [...random.permutation(size).subarray(0, 6)].map(coordinate);
  const normals = [1, 2, 3].map(() => random.normalArray(size, 1 / Math.sqrt(size)));
  return [...chosen, ...normals];
}

/** (f(v + h·d) − f(v − h·d))/2h */
export async function centralDifference(
  f: (values: Float64Array) => Promise<number>,
  v: ArrayLike<number>,
  d: Float64Array,
  h: number,
): Promise<number> {
  const moved = (step: number) => f(Float64Array.from(v, (x, i) => x + step * d[i]!));
  return ((await moved(h)) - (await moved(-h))) / (2 * h);
}
