/** Random numbers one by one, and smooth random functions over an image: bias fields, phases, uneven layers. */
import type { RandomStream } from '@invnet/tensor';

/** Uniform numbers of a stream, from 0 to 1 unless bounds are given. */
export function uniformly(random: RandomStream): (low?: number, high?: number) => number {
  return (low = 0, high = 1) => random.uniformArray(1, low, high)[0]!;
}

/**
 * Values [size · size] of a random function that varies over about `size / cells` pixels: normal numbers at the
 * nodes of a grid, joined by cubic steps.
 */
export function smoothField(
  random: RandomStream,
  { size, cells }: { size: number; cells: number },
): Float64Array {
  const nodes = cells + 2;
  const values = random.normalArray(nodes * nodes);
  const offset = uniformly(random)();
  const places = Array.from({ length: size }, (_, i) => {
    const at = (i / size) * cells + offset;
    const t = at - Math.floor(at);
    return { node: Math.floor(at), weight: t * t * (3 - 2 * t) };
  });
  const field = new Float64Array(size * size);
  for (let r = 0; r < size; r++) {
    const { node: row, weight: down } = places[r]!;
    for (let c = 0; c < size; c++) {
      const { node: column, weight: across } = places[c]!;
      const k = row * nodes + column;
      const above = values[k]! + across * (values[k + 1]! - values[k]!);
      const below = values[k + nodes]! + across * (values[k + nodes + 1]! - values[k + nodes]!);
      field[r * size + c] = above + down * (below - above);
    }
  }
  return field;
}
