/**
 * Solvers of dy/dt = f(t, y) for several tensors together: the classical method of fourth order by equal steps, and
 * Dormand and Prince's pair of orders 5 and 4 by steps of its own choice (Dormand and Prince, "A family of embedded
 * Runge–Kutta formulae", 1980). Memory is that of one step. Mathematics: docs/math/continuous/continuous-flow.md
 */
import {
  abs,
  accumulate,
  affine,
  clone,
  div,
  maximum,
  sumSquares,
  type Tensor,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { readsAtOnce } from '../residual/fixed-point.ts';

/** f(t, y), a tensor for each of y's. */
export type Derivative = (t: number, y: readonly Tensor[]) => readonly Tensor[];

/** From when to when. */
export interface Span {
  readonly from: number;
  readonly to: number;
  /** How many of the tensors, the first ones, choose the steps by their errors. Default: all. */
  readonly chosenBy?: number;
}

/** How exact a step is, relative to the numbers and beside them; and how many there may be. */
export interface Accuracy {
  readonly relativeTolerance: number;
  readonly absoluteTolerance: number;
  readonly maxSteps: number;
}

/** Equal steps. */
export function rungeKutta4(
  f: Derivative,
  start: readonly Tensor[],
  { from, to }: Span,
  steps: number,
): readonly Tensor[] {
  const h = (to - from) / steps;
  let y = start;
  for (let i = 0; i < steps; i++) {
    const t = from + i * h;
    const next = tidy(() => {
      const k1 = f(t, y);
      const k2 = f(t + h / 2, moved(y, [k1], [h / 2]));
      const k3 = f(t + h / 2, moved(y, [k2], [h / 2]));
      const k4 = f(t + h, moved(y, [k3], [h]));
      return moved(y, [k1, k2, k3, k4], [h / 6, h / 3, h / 3, h / 6]);
    });
    if (y !== start) dispose(y);
    y = next;
  }
  return y;
}

/** Rows of the tableau behind the first; the last one is the result of order 5. */
const tableau = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const nodes = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1];
/** What the result of order 5 has beyond that of order 4. */
const difference = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

/** The first step, of the whole span; and by how much a step may grow or shrink from one to the next. */
const [firstStep, most, least, safety] = [0.05, 5, 0.2, 0.9];

/**
 * Steps whose error, in the mean over all samples, is within the tolerances.
 *
 * @throws ValueError where it takes too many steps, and on a backend that does not read numbers at once.
 */
export function dormandPrince(
  op: string,
  f: Derivative,
  start: readonly Tensor[],
  { from, to, chosenBy = start.length }: Span,
  accuracy: Accuracy,
): readonly Tensor[] {
  if (!readsAtOnce(start[0]!)) {
    throw new ValueError(
      `${op}: ${start[0]!.backend.name} does not tell how large errors are while it runs; expected solver ` +
        "'rungeKutta4', whose steps are equal.",
    );
  }
  const { maxSteps } = accuracy;
  const whole = to - from;
  let [done, part] = [0, firstStep];
  let y = start;
  let slope = tidy(() => f(from, y));
  for (let i = 0; i < maxSteps; i++) {
    const last = done + part >= 1;
    const h = last ? 1 - done : part;
    const t = from + done * whole;
    const tried = tidy(() => {
      const k = [slope];
      let end = y;
      for (const [row, weights] of tableau.entries()) {
        if (end !== y) dispose(end);
        end = moved(
          y,
          k,
          weights.map((w) => w * h * whole),
        );
        k.push(f(t + nodes[row]! * h * whole, end));
      }
      return {
        end,
        slope: k[6]!,
        error: errorOf(y.slice(0, chosenBy), end, k, h * whole, accuracy),
      };
    });
    const accepted = tried.error <= 1;
    const grown = tried.error > 0 ? safety * tried.error ** -0.2 : most;
    part = h * Math.min(most, Math.max(least, Number.isFinite(grown) ? grown : least));
    if (!accepted) {
      dispose([...tried.end, ...tried.slope]);
      continue;
    }
    if (y !== start) dispose(y);
    dispose(slope);
    ({ end: y, slope } = tried);
    done += h;
    if (!last) continue;
    dispose(slope);
    return y;
  }
  if (y !== start) dispose(y);
  dispose(slope);
  throw new ValueError(
    `${op}: after ${maxSteps} steps ${(100 * done).toPrecision(3)} % of the way are behind; expected a velocity that is finite ` +
      'and smooth, larger tolerances, or more maxSteps.',
  );
}

/** y + Σ hᵢkᵢ */
function moved(
  y: readonly Tensor[],
  k: readonly (readonly Tensor[])[],
  h: readonly number[],
): readonly Tensor[] {
  return y.map((t, j) => {
    const sum = clone(t);
    for (const [i, slope] of k.entries()) if (h[i]) accumulate(sum, slope[j]!, h[i]);
    return sum;
  });
}

/** What errors of the tensors behind the first count for: those of a log-determinant are nats, of which few digits are read. */
const beside = 0.01;

/** The error relative to the tolerances: its root mean square, the largest of the tensors'. */
function errorOf(
  y: readonly Tensor[],
  end: readonly Tensor[],
  k: readonly (readonly Tensor[])[],
  h: number,
  { relativeTolerance, absoluteTolerance }: Accuracy,
): number {
  const errors = moved(
    y.map(zerosLike),
    k,
    difference.map((w) => w * h),
  ).map((error, j) => {
    const size = maximum(abs(y[j]!), abs(end[j]!));
    const scaled = div(error, affine(size, relativeTolerance, absoluteTolerance));
    return Math.sqrt(sumSquares(scaled).dataSync()[0]! / error.size) * (j === 0 ? 1 : beside);
  });
  return errors.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...errors);
}

function dispose(tensors: readonly Tensor[]): void {
  for (const t of tensors) t.dispose();
}
