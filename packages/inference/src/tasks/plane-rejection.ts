/**
 * Exact samples of a smooth density of two numbers, by rejection from a table of its values: for posteriors whose likelihood
 * takes a while to compute, and of which no formula is known.
 */
import { type RandomStream, ValueError } from '@invnet/tensor';

/** Low and high bounds of both numbers. */
type Frame = readonly [readonly [number, number], readonly [number, number]];

/** Cells along an axis while the density is searched for, and of the table. */
const [searchCells, cells] = [24, 128];
/** What lies this far below the mode, in nats, does not count: 2·10⁻⁹ of it. */
const depth = 20;
/** By how many nats a density may rise above the corners of a cell. */
const slack = 0.5;

/**
 * A function that proposes a point, and gives nothing where the proposal was rejected.
 *
 * @param logDensity - Up to a constant; one mode, within the frame.
 * @throws ValueError, from a proposal, where the density rises above the table: it is not smooth enough for it.
 */
export function planeRejection(
  logDensity: (u: number, v: number) => number,
  frame: Frame,
): (random: RandomStream) => readonly [number, number] | undefined {
  const [us, vs] = axesOf(frameAround(logDensity, frame), cells);
  const values = us.map((u) => vs.map((v) => logDensity(u, v)));
  const most = Math.max(...values.flat());
  const heights = values.slice(1).flatMap((row, i) =>
    row.slice(1).map((value, j) => {
      const corners = [value, row[j]!, values[i]![j]!, values[i]![j + 1]!];
      return Math.max(...corners) + slack - most;
    }),
  );
  const sums = heights.map(Math.exp);
  for (let i = 1; i < sums.length; i++) sums[i] = sums[i]! + sums[i - 1]!;
  return (random) => {
    const [a, b, c, d] = random.uniformArray(4);
    const cell = firstAbove(sums, a! * sums.at(-1)!);
    const [i, j] = [Math.floor(cell / cells), cell % cells];
    const u = us[i]! + b! * (us[i + 1]! - us[i]!);
    const v = vs[j]! + c! * (vs[j + 1]! - vs[j]!);
    const height = logDensity(u, v) - most - heights[cell]!;
    if (height > 0) {
      throw new ValueError(
        `planeRejection: at ${u}, ${v} the density is ${height} nats above what the corners of its cell allow.`,
      );
    }
    return Math.log(d!) < height ? [u, v] : undefined;
  };
}

/** Halves the axes of the frame around the best point for as long as nothing that counts is left out. */
function frameAround(logDensity: (u: number, v: number) => number, frame: Frame): Frame {
  const [us, vs] = axesOf(frame, searchCells);
  const points = us.flatMap((u) =>
    vs.map((v) => ({ at: [u, v] as const, value: logDensity(u, v) })),
  );
  const best = points.reduce((a, b) => (b.value > a.value ? b : a));
  const counting = points.filter(({ value }) => value > best.value - depth);
  const halved = (axis: 0 | 1) => {
    const [low, high] = frame[axis];
    const quarter = (high - low) / 4;
    const middle = Math.min(high - quarter, Math.max(low + quarter, best.at[axis]));
    const all = counting.every(({ at }) => Math.abs(at[axis] - middle) < quarter);
    return all ? ([middle - quarter, middle + quarter] as const) : frame[axis];
  };
  const smaller: Frame = [halved(0), halved(1)];
  const same = smaller[0] === frame[0] && smaller[1] === frame[1];
  return same ? frame : frameAround(logDensity, smaller);
}

function axesOf(frame: Frame, count: number): readonly [number[], number[]] {
  const [us, vs] = frame.map(([low, high]) =>
    Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count),
  );
  return [us!, vs!];
}

/** The first index whose sum is above a number, by halving. */
function firstAbove(sums: readonly number[], value: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
