/** LSQR (Paige and Saunders, "LSQR: an algorithm for sparse linear equations", 1982). */
import { zerosLike } from '@invnet/tensor';
import { Bidiagonalization } from './bidiagonalization.ts';
import {
  brokenDown,
  inWorkspace,
  progress,
  requireSolverOptions,
  type Solution,
  type SolverOptions,
} from './krylov.ts';
import type { LinearOperator } from './linear-operator.ts';
import { addInPlace, copyVector, mapVector, scaleInPlace, type Vector } from './vector.ts';

/** Options of the solvers of least squares. */
export interface LeastSquaresOptions extends SolverOptions {
  /** λ of ‖A x − b‖² + λ²‖x‖². Default: 0. */
  readonly damping?: number;
}

/**
 * min ‖A x − b‖² + λ²‖x‖² for any A: the residual falls with every iteration.
 *
 * @throws ValueError for options out of range. @throws ShapeError unless b has the shape of A's range.
 * @example const { x, residual } = await lsqr(J, y, { damping: 0.1 });
 */
export async function lsqr<U extends Vector, V extends Vector>(
  A: LinearOperator<U, V>,
  b: V,
  options: LeastSquaresOptions = {},
): Promise<Solution<U>> {
  requireSolverOptions('lsqr', options);
  const { damping = 0 } = options;
  return inWorkspace(async ({ own, defer }) => {
    const basis = await Bidiagonalization.start(A, b);
    defer(() => basis.dispose());
    const x = own(mapVector(basis.v, zerosLike));
    const size = basis.beta;
    if (size === 0 || basis.alpha === 0) {
      const residual = size === 0 ? 0 : 1;
      return { x, iteration: 0, residual, normalResidual: 0, reason: 'normalResidual' };
    }
    if (!basis.finite) return brokenDown(x, 0);
    const w = own(copyVector(basis.v));
    // Residuals relative to b, so that their squares stay in the range of numbers.
    let [phiBar, rhoBar] = [1, basis.alpha];
    let [norm, damped] = [0, 0];
    for (let iteration = 1; ; iteration++) {
      norm = Math.hypot(norm, basis.alpha);
      await basis.step();
      if (!basis.finite) return brokenDown(x, iteration);
      const { alpha, beta } = basis;
      norm = Math.hypot(norm, beta, damping);
      // The damping's row is rotated away first, then the new row.
      const rhoDamped = Math.hypot(rhoBar, damping);
      damped += ((damping / rhoDamped) * phiBar) ** 2;
      phiBar *= rhoBar / rhoDamped;
      const rho = Math.hypot(rhoDamped, beta);
      const [c, s] = [rhoDamped / rho, beta / rho];
      const phi = c * phiBar;
      phiBar *= s;
      rhoBar = -c * alpha;
      addInPlace(x, w, (size * phi) / rho);
      scaleInPlace(w, (-s * alpha) / rho);
      addInPlace(w, basis.v);
      const r = Math.sqrt(phiBar ** 2 + damped);
      const normalResidual = r === 0 ? 0 : (alpha * Math.abs(s * phi)) / (norm * r);
      const state = { iteration, residual: r, normalResidual };
      const reason = progress(options, state);
      if (reason) return { x, ...state, reason };
    }
  });
}
