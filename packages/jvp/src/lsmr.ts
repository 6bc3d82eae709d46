/** LSMR (Fong and Saunders, "LSMR: an iterative algorithm for sparse least-squares problems", 2011). */
import { zerosLike } from '@invnet/tensor';
import { Bidiagonalization } from './bidiagonalization.ts';
import {
  brokenDown,
  inWorkspace,
  progress,
  requireSolverOptions,
  type Solution,
} from './krylov.ts';
import type { LinearOperator } from './linear-operator.ts';
import type { LeastSquaresOptions } from './lsqr.ts';
import { addInPlace, copyVector, mapVector, scaleInPlace, type Vector } from './vector.ts';

/**
 * min ‖A x − b‖² + λ²‖x‖² for any A: the residual Aᵀr of the normal equations falls with every
 * iteration, so it may stop earlier than `lsqr`.
 *
 * @throws ValueError for options out of range. @throws ShapeError unless b has the shape of A's range.
 * @example const { x, normalResidual } = await lsmr(J, y, { tolerance: 1e-4 });
 */
export async function lsmr<U extends Vector, V extends Vector>(
  A: LinearOperator<U, V>,
  b: V,
  options: LeastSquaresOptions = {},
): Promise<Solution<U>> {
  requireSolverOptions('lsmr', options);
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
    const h = own(copyVector(basis.v));
    const hBar = own(mapVector(basis.v, zerosLike));
    // Residuals relative to b, so that their squares stay in the range of numbers.
    let [zetaBar, alphaBar, rho, rhoBar, cBar, sBar] = [basis.alpha, basis.alpha, 1, 1, 1, 0];
    const residual = new ResidualEstimate();
    let norm = 0;
    for (let iteration = 1; ; iteration++) {
      norm = Math.hypot(norm, basis.alpha);
      await basis.step();
      if (!basis.finite) return brokenDown(x, iteration);
      const { alpha, beta } = basis;
      norm = Math.hypot(norm, beta, damping);
      const first = rotation(alphaBar, damping);
      const second = rotation(first.r, beta);
      const [rhoOld, rhoBarOld] = [rho, rhoBar];
      rho = second.r;
      const theta = second.s * alpha;
      alphaBar = second.c * alpha;
      const thetaBar = sBar * rho;
      const third = rotation(cBar * rho, theta);
      [cBar, sBar, rhoBar] = [third.c, third.s, third.r];
      const zeta = cBar * zetaBar;
      zetaBar *= -sBar;
      scaleInPlace(hBar, (-thetaBar * rho) / (rhoOld * rhoBarOld));
      addInPlace(hBar, h);
      addInPlace(x, hBar, (size * zeta) / (rho * rhoBar));
      scaleInPlace(h, -theta / rho);
      addInPlace(h, basis.v);
      const r = residual.next(first, second, thetaBar, rhoBar, zeta);
      const normalResidual = r === 0 ? 0 : Math.abs(zetaBar) / (norm * r);
      const state = { iteration, residual: r, normalResidual };
      const reason = progress(options, state);
      if (reason) return { x, ...state, reason };
    }
  });
}

interface Rotation {
  readonly c: number;
  readonly s: number;
  readonly r: number;
}

/** The rotation that takes (a, b) to (r, 0). */
function rotation(a: number, b: number): Rotation {
  const r = Math.hypot(a, b);
  return r === 0 ? { c: 1, s: 0, r } : { c: a / r, s: b / r, r };
}

/** ‖r‖/‖b‖ of each iterate by the recurrences of section 5.1 of the paper. */
class ResidualEstimate {
  #betaDouble = 1;
  #betaDot = 0;
  #rhoDot = 1;
  #tauTilde = 0;
  #thetaTilde = 0;
  #zeta = 0;
  #damped = 0;

  next(first: Rotation, second: Rotation, thetaBar: number, rhoBar: number, zeta: number): number {
    const acute = first.c * this.#betaDouble;
    const check = -first.s * this.#betaDouble;
    const hat = second.c * acute;
    this.#betaDouble = -second.s * acute;
    const tilde = rotation(this.#rhoDot, thetaBar);
    const thetaOld = this.#thetaTilde;
    this.#thetaTilde = tilde.s * rhoBar;
    this.#rhoDot = tilde.c * rhoBar;
    this.#betaDot = -tilde.s * this.#betaDot + tilde.c * hat;
    this.#tauTilde = (this.#zeta - thetaOld * this.#tauTilde) / tilde.r;
    const tau = (zeta - this.#thetaTilde * this.#tauTilde) / this.#rhoDot;
    this.#zeta = zeta;
    this.#damped += check ** 2;
    return Math.sqrt(this.#damped + (this.#betaDot - tau) ** 2 + this.#betaDouble ** 2);
  }
}
