/** What tests of two samples by their pairs share: distances of all pairs, their sums, and permutations. */
import { RandomStream, requireWhole, ValueError } from '@invnet/tensor';
import type { Points } from './points.ts';

/** Means over pairs of different samples: both of x, both of y, one of each. */
export interface PairMeans {
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/** ‖zᵢ − zⱼ‖² of all pairs i < j of x and y together, row by row. */
export function squaredDistances(
  op: string,
  samples: readonly [Points, Points],
  columns: number,
): Float64Array {
  const counts = samples.map(({ shape }) => shape[0]!);
  const total = counts[0]! + counts[1]!;
  if (total > MOST_ROWS || Math.min(...counts) < 2) {
    throw new ValueError(
      `${op}: x has ${counts[0]} samples and y ${counts[1]}; expected at least 2 of each, and at most ` +
        `${MOST_ROWS} together, since all pairs are held in memory.`,
    );
  }
  const z = new Float64Array(total * columns);
  z.set(samples[0].data);
  z.set(samples[1].data, counts[0]! * columns);
  const squares = new Float64Array((total * (total - 1)) / 2);
  let at = 0;
  for (let i = 0; i < total; i++) {
    for (let j = i + 1; j < total; j++) {
      let sum = 0;
      for (let d = 0; d < columns; d++) sum += (z[i * columns + d]! - z[j * columns + d]!) ** 2;
      squares[at++] = sum;
    }
  }
  return squares;
}

/**
 * A statistic of means over pairs, and the share of permutations of x and y that give as much, the given order
 * included: exact for any number of them, if x and y come from one distribution.
 */
export function permutationTest(
  pairs: Float64Array,
  statistic: (means: PairMeans) => number,
  options: {
    readonly rows: readonly [number, number];
    readonly permutations: number;
    readonly seed: number;
  },
): { readonly value: number; readonly pValue: number } {
  const [n, m] = options.rows;
  const total = n + m;
  const offsets = Float64Array.from({ length: total }, (_, i) => i * total - (i * (i + 3)) / 2 - 1);
  const sums = new Float64Array(total);
  let all = 0;
  for (let i = 0; i < total; i++) {
    for (let j = i + 1; j < total; j++) {
      const pair = pairs[offsets[i]! + j]!;
      sums[i]! += pair;
      sums[j]! += pair;
      all += pair;
    }
  }
  const valueFor = (x: Uint32Array) => {
    let [within, touching] = [0, 0];
    for (let a = 0; a < n; a++) {
      const offset = offsets[x[a]!]!;
      touching += sums[x[a]!]!;
      for (let b = a + 1; b < n; b++) within += pairs[offset + x[b]!]!;
    }
    const xy = touching - 2 * within;
    return statistic({
      xx: (2 * within) / (n * (n - 1)),
      yy: (2 * (all - within - xy)) / (m * (m - 1)),
      xy: xy / (n * m),
    });
  };
  const value = valueFor(Uint32Array.from({ length: n }, (_, i) => i));
  const random = new RandomStream(options.seed);
  let asFar = 1;
  for (let p = 0; p < options.permutations; p++) {
    if (valueFor(random.permutation(total).slice(0, n).sort()) >= value) asFar += 1;
  }
  return { value, pValue: asFar / (options.permutations + 1) };
}

/** @throws ValueError unless it is a number of permutations that tells anything, and one that ends. */
export function requirePermutations(op: string, permutations: number): void {
  requireWhole(op, 'permutations', permutations, 1, 100_000);
}

/** 100 MB of pairs. */
const MOST_ROWS = 5000;
