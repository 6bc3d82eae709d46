/**
 * Solving z = s(z) for a contraction s by iteration. Mathematics: docs/math/residual/invertible-residual.md
 */
import {
  abs,
  BackendError,
  type DType,
  div,
  full,
  max,
  maximum,
  sub,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';

/** When to stop. */
export interface FixedPointOptions {
  /** Largest change of a step, relative to the largest number that its sample starts with. Default: eight units in the last place. */
  readonly tolerance?: number | undefined;
  readonly maxIterations: number;
  /** What the Lipschitz constant of s is at most, below 1. */
  readonly lipschitz: number;
  /**
   * A change up to this, relative as the tolerance, is rounding where it is no smaller than the one before, and ends the
   * iteration too. Default: 0, none.
   */
  readonly rounding?: number;
  /** What to do where it does not converge, as a sentence. Default: about norms of weights. */
  readonly advice?: string;
}

/** The distance from 1 to the next number. */
export function epsilonOf(dtype: DType): number {
  return dtype === 'float32' ? 2 ** -23 : 2 ** -52;
}

/** Samples whose largest number is below it count as of that size. */
const leastSize = 1e-30;

/**
 * z = s(z), from z = `start` on, until a step changes z by no more than the tolerance. Where the backend does not
 * read numbers at once, it takes as many steps as the Lipschitz constant asks for.
 *
 * @throws ValueError with an estimate of the Lipschitz constant when it does not converge.
 */
export function fixedPoint(
  op: string,
  step: (z: Tensor) => Tensor,
  start: Tensor,
  options: FixedPointOptions,
): Tensor {
  const { maxIterations, lipschitz } = options;
  const { advice = 'If the weights were assigned, updateLipschitz finds their norms.' } = options;
  const { tolerance = 8 * epsilonOf(start.dtype), rounding = 0 } = options;
  if (!readsAtOnce(start)) return iterated(op, step, start, { ...options, tolerance });
  let z = start;
  let sizes: Tensor | undefined;
  let [change, rate] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < maxIterations; i++) {
    const next = tidy(() => step(z));
    sizes ??= tidy(() => maximum(largest(start), maximum(largest(next), leastOf(start))));
    const moved = tidy(() => max(div(largest(sub(next, z)), sizes!)).dataSync()[0]!);
    if (z !== start) z.dispose();
    z = next;
    if (moved <= tolerance || (moved >= change && moved <= rounding)) return z;
    // From numbers that are none there is nowhere to go.
    if (!Number.isFinite(moved)) break;
    [change, rate] = [moved, moved / change];
  }
  if (!tidy(() => Number.isFinite(max(abs(start)).dataSync()[0]!))) return z;
  throw new ValueError(
    `${op}: after ${maxIterations} iterations the change is ${change.toPrecision(3)} of the largest number, ` +
      `by steps that shrink to ${rate.toPrecision(3)} of the one before, an estimate of the Lipschitz constant; ` +
      `expected at most ${tolerance}, and a constant of at most ${lipschitz.toPrecision(3)}. ${advice}`,
  );
}

/** As many steps as make |s(z) − z| ≤ c^k/(1 − c)·|s(start) − start| small enough. */
function iterated(
  op: string,
  step: (z: Tensor) => Tensor,
  start: Tensor,
  { tolerance, maxIterations, lipschitz }: FixedPointOptions & { readonly tolerance: number },
): Tensor {
  const steps = Math.ceil(Math.log(tolerance * (1 - lipschitz)) / Math.log(lipschitz));
  if (steps > maxIterations) {
    throw new ValueError(
      `${op}: a Lipschitz constant of ${lipschitz.toPrecision(3)} may take ${steps} iterations, and ` +
        `${start.backend.name} does not tell when fewer are enough; expected maxIterations of as many.`,
    );
  }
  let z = start;
  for (let i = 0; i < steps; i++) {
    const next = tidy(() => step(z));
    if (z !== start) z.dispose();
    z = next;
  }
  return z;
}

/** The largest number of each sample, without its sign. */
function largest(z: Tensor): Tensor {
  return max(abs(z), { axes: z.shape.map((_, i) => i).slice(1) });
}

function leastOf(z: Tensor): Tensor {
  return full([z.shape[0]!], leastSize, z);
}

/** Are there numbers to look at while a method runs? Not on a device that computes later. */
export function readsAtOnce(t: Tensor): boolean {
  try {
    tidy(() => max(t).dataSync());
    return true;
  } catch (error) {
    if (error instanceof BackendError) return false;
    throw error;
  }
}
