/** What the iterative solvers share: options, results, stopping. */
import type { Vector } from './vector.ts';

/** Options of `cg`, `lsqr` and `lsmr`. */
export interface SolverOptions {
  /** Stops at this residual relative to the right-hand side. Default: 1e-6. */
  readonly tolerance?: number;
  /** Default: 100. */
  readonly maxIterations?: number;
  /** Called after each iteration; false stops. */
  readonly onIteration?: (progress: SolverProgress) => unknown;
}

/** How far a solver has come. */
export interface SolverProgress {
  readonly iteration: number;
  /** ‖b − A x‖/‖b‖, with the damping's share in least squares. */
  readonly residual: number;
  /** ‖Aᵀr‖/(‖A‖‖r‖), in least squares. */
  readonly normalResidual?: number;
}

/** Why a solver stopped. */
export type StopReason =
  | 'residual'
  | 'normalResidual'
  | 'maxIterations'
  | 'stopped'
  /** A direction along which a matrix that should be positive definite is not. */
  | 'negativeCurvature';

/** What a solver found; x belongs to the caller. */
export interface Solution<U extends Vector> extends SolverProgress {
  readonly x: U;
  readonly reason: StopReason;
}

/** Reports progress. @returns the reason to stop, if there is one. */
export function progress(options: SolverOptions, state: SolverProgress): StopReason | undefined {
  const { tolerance = 1e-6, maxIterations = 100, onIteration } = options;
  const goOn = onIteration?.(state);
  if (state.residual <= tolerance) return 'residual';
  if (state.normalResidual !== undefined && state.normalResidual <= tolerance) {
    return 'normalResidual';
  }
  if (goOn === false) return 'stopped';
  return state.iteration >= maxIterations ? 'maxIterations' : undefined;
}
