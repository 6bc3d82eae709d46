/** Conjugate gradients (Hestenes and Stiefel, 1952). */
import { zerosLike } from '@invnet/tensor';
import {
  inWorkspace,
  progress,
  requireSolverOptions,
  type Solution,
  type SolverOptions,
} from './krylov.ts';
import { type LinearOperator, requireOperator } from './linear-operator.ts';
import {
  addInPlace,
  copyVector,
  disposeVector,
  innerProduct,
  mapVector,
  normalize,
  requireVector,
  requireVectorShape,
  scaleInPlace,
  type Vector,
} from './vector.ts';

/**
 * Solves A x = b for a symmetric positive definite A, such as a damped Gauss–Newton operator. It
 * stops with `negativeCurvature`, at the best point so far, where A turns out not to be.
 * `iteration` counts the steps that x has taken.
 *
 * @throws ValueError for options out of range. @throws ShapeError unless b, A's domain and A's range have one shape.
 * @example const { x, iteration } = await cg(gn, gradient, { tolerance: 1e-3 });
 */
export async function cg<U extends Vector>(
  A: LinearOperator<U, U>,
  b: U,
  options: SolverOptions = {},
): Promise<Solution<U>> {
  requireSolverOptions('cg', options);
  requireOperator('cg', A);
  requireVector('cg: right-hand side', b, A.range);
  requireVectorShape('cg: domain of the operator', A.domain, A.range);
  return inWorkspace(async ({ own }) => {
    const x = own(mapVector(b, zerosLike));
    // The residual relative to b, so that neither its square nor that of p leaves the range of numbers.
    const r = own(copyVector(b));
    const size = await normalize(r);
    if (size === 0) return { x, iteration: 0, residual: 0, reason: 'residual' };
    const p = own(copyVector(r));
    let square = 1;
    for (let iteration = 1; ; iteration++) {
      const Ap = A.apply(p);
      try {
        const curvature = await innerProduct(p, Ap);
        const alpha = square / curvature;
        if (!(alpha > 0 && alpha * size < Number.POSITIVE_INFINITY)) {
          const reason = curvature <= 0 ? 'negativeCurvature' : 'breakdown';
          return { x, iteration: iteration - 1, residual: Math.sqrt(square), reason };
        }
        addInPlace(x, p, alpha * size);
        addInPlace(r, Ap, -alpha);
      } finally {
        disposeVector(Ap);
      }
      const next = await innerProduct(r, r);
      const residual = Math.sqrt(next);
      const reason = progress(options, { iteration, residual });
      if (reason) return { x, iteration, residual, reason };
      scaleInPlace(p, next / square);
      addInPlace(p, r);
      square = next;
    }
  });
}
