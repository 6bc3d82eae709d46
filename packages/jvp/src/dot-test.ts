/** Is an operator's adjoint its adjoint? */
import { RandomStream } from '@invnet/tensor';
import { type LinearOperator, OperatorError } from './linear-operator.ts';
import { disposeVector, innerProduct, randomOf, vectorNorm } from './vector.ts';

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

/** Compares ⟨A u, v⟩ with ⟨u, Aᵀ v⟩ for random u and v. */
export async function dotTest(
  A: LinearOperator,
  options: DotTestOptions = {},
): Promise<DotTestResult> {
  const { trials = 3, seed = 0 } = options;
  const random = new RandomStream(seed);
  let worst: DotTestResult = { forward: 0, adjoint: 0, error: 0 };
  for (let trial = 0; trial < trials; trial++) {
    const [u, v] = [randomOf(A.domain, random), randomOf(A.range, random)];
    const [Au, Av] = [A.apply(u), A.adjoint.apply(v)];
    const [forward, adjoint] = [await innerProduct(Au, v), await innerProduct(u, Av)];
    const size = Math.max((await vectorNorm(Au)) * (await vectorNorm(v)), Math.abs(adjoint));
    const error = size === 0 ? 0 : Math.abs(forward - adjoint) / size;
    if (!(error <= worst.error)) worst = { forward, adjoint, error };
    for (const t of [u, v, Au, Av]) disposeVector(t);
  }
  return worst;
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
  const { tolerance = 1e-5, ...rest } = options;
  const { forward, adjoint, error } = await dotTest(A, rest);
  if (error <= tolerance) return;
  throw new OperatorError(
    `assertAdjoint: ⟨A u, v⟩ is ${forward} and ⟨u, Aᵀ v⟩ is ${adjoint}, a relative difference of ` +
      `${error.toExponential(1)}; expected at most ${tolerance}. The adjoint is not that of the map.`,
  );
}
