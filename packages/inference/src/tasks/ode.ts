/**
 * Ordinary differential equations of simulators, one row at a time: the embedded pair of orders 5 and 4 of Dormand and
 * Prince ("A family of embedded Runge–Kutta formulae", 1980), whose steps follow the error.
 */

/** ẏ of y, written into `dy`. */
export type Derivative = (y: Float64Array, dy: Float64Array) => void;

/** Fractions of the stages, and what of the fifth order the fourth differs by. */
const stages = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const errors = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];
/** Steps of one row, far more than the tasks' equations take. */
const mostSteps = 1e5;

/** How to integrate. */
export interface OdeOptions {
  readonly start: Float64Array;
  /** Ascending from 0, where `start` is. */
  readonly times: readonly number[];
  /** Of the local error, relative to each number and to `scale`. Default: 1e-8. */
  readonly tolerance?: number;
  /** The size below which a number's relative error does not count. Default: 1e-3. */
  readonly scale?: number;
}

/** y at each time, one after the other; NaN where no step is small enough. */
export function integrate(derivative: Derivative, options: OdeOptions): Float64Array {
  const { start, times, tolerance = 1e-8, scale = 1e-3 } = options;
  const size = start.length;
  const out = new Float64Array(size * times.length).fill(Number.NaN);
  const slopes = Array.from({ length: 7 }, () => new Float64Array(size));
  const y = Float64Array.from(start);
  const next = new Float64Array(size);
  derivative(y, slopes[0]!);
  let time = 0;
  let step = 1e-3;
  let taken = 0;
  for (const [i, end] of times.entries()) {
    while (time < end) {
      if (++taken > mostSteps) return out;
      const length = Math.min(step, end - time);
      const error = tryStep(derivative, y, slopes, length, next);
      const worst = error(
        (at) => tolerance * (scale + Math.max(Math.abs(y[at]!), Math.abs(next[at]!))),
      );
      if (worst <= 1) {
        time = length === end - time ? end : time + length;
        y.set(next);
        // The last stage of a step is the first of the one behind it.
        slopes.unshift(slopes.pop()!);
      }
      // Where an error is not a number, the step was far too long.
      const factor = worst >= 0 ? 0.9 * Math.max(worst, 1e-10) ** -0.2 : 0.1;
      const grown = length * Math.min(5, Math.max(0.1, factor));
      // A step that was cut at a time says little of the next.
      step = worst <= 1 && length < step ? Math.max(step, grown) : grown;
    }
    out.set(y, i * size);
  }
  return out;
}

/** Writes y after a step, leaves the stages' slopes, and gives its largest error in units of what is allowed. */
function tryStep(
  derivative: Derivative,
  y: Float64Array,
  slopes: readonly Float64Array[],
  length: number,
  next: Float64Array,
) {
  const sum = (weights: readonly number[], at: number) => {
    let total = 0;
    for (let s = 0; s < weights.length; s++) total += weights[s]! * slopes[s]![at]!;
    return total;
  };
  for (const [s, weights] of stages.entries()) {
    for (let at = 0; at < y.length; at++) next[at] = y[at]! + length * sum(weights, at);
    derivative(next, slopes[s + 1]!);
  }
  return (allowed: (at: number) => number): number =>
    y.reduce((worst, _, at) => {
      const error = Math.abs(length * sum(errors, at)) / allowed(at);
      return error > worst || Number.isNaN(error) ? error : worst;
    }, 0);
}
