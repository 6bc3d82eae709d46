/** Densities of many parameters, of which some may lie outside of the support. */
import type { HostArray } from '@invnet/datasets';
import { type Tensor, tensor } from '@invnet/tensor';
import { clampInto, isInside, type Support } from './support.ts';

/**
 * The density of each row of parameters, […, D], −∞ outside of the support.
 *
 * @param densities - Of some rows inside, [n, D], given which of all they are; those on a bound are moved next to it.
 */
export async function densitiesInside(
  support: readonly Support[],
  { shape, data }: HostArray,
  batchSize: number,
  densities: (rows: Tensor, indices: readonly number[]) => Promise<ArrayLike<number>>,
): Promise<Float64Array> {
  const size = shape.at(-1)!;
  const row = (i: number) => data.subarray(i * size, (i + 1) * size);
  const found = new Float64Array(data.length / size).fill(Number.NEGATIVE_INFINITY);
  const inside = [...found.keys()].filter((i) => isInside(support, row(i)));
  for (let from = 0; from < inside.length; from += batchSize) {
    const indices = inside.slice(from, from + batchSize);
    const some = Float64Array.from(indices.flatMap((i) => [...row(i)]));
    clampInto(support, some);
    using rows = tensor(some, [indices.length, size]);
    const values = await densities(rows, indices);
    indices.forEach((i, n) => {
      found[i] = values[n]!;
    });
  }
  return found;
}
