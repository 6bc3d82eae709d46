/** Is an operator's adjoint its adjoint? */
import { RandomStream, requireAtLeast, requireOptions, requireWhole } from '@invnet/tensor';
import { type LinearOperator, OperatorError, requireOperator } from './linear-operator.ts';
import {
  disposeVector,
  innerProduct,
  leavesOf,
  randomOf,
  type Vector,
  vectorNorm,
} from './vector.ts';

/** Far more than tell anything. */
const MOST_TRIALS = 10_000;

/** Options of `dotTest`. */
export interface DotTestOptions {
  /** Random pairs of vectors. Default: 3. */
  readonly trials?: number;
  /** Default: 0. */
  readonly seed?: number;
}

/** The two sides of the worst trial, and their difference relative to ‖A u‖‖v‖. */
export interface DotTestResult {
  readonly forward: number;
  readonly adjoint: number;
  readonly error: number;
}

/**
 * Compares ⟨A u, v⟩ with ⟨u, Aᵀ v⟩ for random u and v. A trial that gives NaN is the worst.
 *
 * @throws ValueError unless trials ≥ 1.
 * @example const { error } = await dotTest(J, { seed: 1 });
 */
export async function dotTest(
  A: LinearOperator,
  options: DotTestOptions = {},
): Promise<DotTestResult> {
  requireOptions('dotTest', options, ['trials', 'seed']);
  const { trials = 3, seed = 0 } = options;
  requireWhole('dotTest', 'trials', trials, 1, MOST_TRIALS);
  requireOperator('dotTest', A);
  const random = new RandomStream(seed);
  let worst: DotTestResult | undefined;
  for (let trial = 0; trial < trials && !Number.isNaN(worst?.error); trial++) {
    const result = await compare(A, random);
    if (!worst || !(result.error <= worst.error)) worst = result;
  }
  return worst!;
}

/**
 * As `dotTest`; for operators that come from elsewhere, such as an `UnrolledLoop`'s.
 *
 * @throws OperatorError with both sides when they differ by more than the tolerance.
 * @example await assertAdjoint(makeOperator({ domain, range, apply, applyAdjoint }));
 */
export async function assertAdjoint(
  A: LinearOperator,
  options: DotTestOptions & { readonly tolerance?: number } = {},
): Promise<void> {
  requireOptions('assertAdjoint', options, ['trials', 'seed', 'tolerance']);
  const { tolerance = 1e-5, ...rest } = options;
  requireAtLeast('assertAdjoint', 'tolerance', tolerance, 0);
  const { forward, adjoint, error } = await dotTest(A, rest);
  if (error <= tolerance) return;
  throw new OperatorError(
    `assertAdjoint: ⟨A u, v⟩ is ${forward} and ⟨u, Aᵀ v⟩ is ${adjoint}, a relative difference of ` +
      `${error.toExponential(1)}; expected at most ${tolerance}. The adjoint is not that of the map.`,
  );
}

async function compare(A: LinearOperator, random: RandomStream): Promise<DotTestResult> {
  const made: Vector[] = [];
  const own = (v: Vector): Vector => {
    leavesOf(v);
    made.push(v);
    return v;
  };
  try {
    const u = own(randomOf(A.domain, random));
    const v = own(randomOf(A.range, random));
    const Au = own(A.apply(u));
    const Av = own(A.adjoint.apply(v));
    const [forward, adjoint] = [await innerProduct(Au, v), await innerProduct(u, Av)];
    const size = Math.max((await vectorNorm(Au)) * (await vectorNorm(v)), Math.abs(adjoint));
    const error = size === 0 ? 0 : Math.abs(forward - adjoint) / size;
    return { forward, adjoint, error };
  } finally {
    for (const v of made) disposeVector(v);
  }
}
