/** Conjugate gradients (Hestenes and Stiefel, 1952). */

import { zerosLike } from '@invnet/tensor';
import { progress, type Solution, type SolverOptions } from './krylov.ts';
import type { LinearOperator } from './linear-operator.ts';
import {
  addInPlace,
  copyVector,
  disposeVector,
  innerProduct,
  mapVector,
  scaleInPlace,
  type Vector,
  vectorNorm,
} from './vector.ts';

/**
 * Solves A x = b for a symmetric positive definite A, such as a damped Gauss–Newton operator. It
 * stops with `negativeCurvature`, at the best point so far, where A turns out not to be.
 *
 * @example const { x, iteration } = await cg(gn, gradient, { tolerance: 1e-3 });
 */
export async function cg<U extends Vector>(
  A: LinearOperator<U, U>,
  b: U,
  options: SolverOptions = {},
): Promise<Solution<U>> {
  const x = mapVector(b, zerosLike);
  const size = await vectorNorm(b);
  if (size === 0) return { x, iteration: 0, residual: 0, reason: 'residual' };
  const r = copyVector(b);
  const p = copyVector(b);
  let square = size * size;
  for (let iteration = 1; ; iteration++) {
    const Ap = A.apply(p);
    const curvature = await innerProduct(p, Ap);
    if (!(curvature > 0)) {
      for (const dead of [Ap, r, p]) disposeVector(dead);
      const residual = Math.sqrt(square) / size;
      return { x, iteration, residual, reason: 'negativeCurvature' };
    }
    const alpha = square / curvature;
    addInPlace(x, p, alpha);
    addInPlace(r, Ap, -alpha);
    disposeVector(Ap);
    const next = await innerProduct(r, r);
    const residual = Math.sqrt(next) / size;
    const reason = progress(options, { iteration, residual });
    if (reason) {
      disposeVector(r);
      disposeVector(p);
      return { x, iteration, residual, reason };
    }
    scaleInPlace(p, next / square);
    addInPlace(p, r);
    square = next;
  }
}
