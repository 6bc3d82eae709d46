/** What the iterative solvers share: options, results, stopping. */
import {
  requireAtLeast,
  requireFunction,
  requireOptions,
  requireWhole,
  type Tensor,
} from '@invnet/tensor';
import { leavesOf, type Vector, vectorNorm } from './vector.ts';

/** Options of `cg`, `lsqr` and `lsmr`. */
export interface SolverOptions {
  /** Stops at this residual relative to the right-hand side. Default: 1e-6. */
  readonly tolerance?: number;
  /** Default: 100. */
  readonly maxIterations?: number;
  /** Called after each iteration; false stops. */
  readonly onIteration?: (progress: SolverProgress) => unknown;
  /** Stops after the iteration in which it is aborted. */
  readonly signal?: AbortSignal;
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
  /** The residual, the solution, or the curvature in `cg`, is not a finite number. */
  | 'breakdown'
  /** A direction along which a matrix that should be positive definite is not. */
  | 'negativeCurvature';

/** What a solver found; x belongs to the caller. */
export interface Solution<U extends Vector> extends SolverProgress {
  readonly x: U;
  readonly reason: StopReason;
}

/** @throws ValueError for options that no solver has, or that are out of range. */
export function requireSolverOptions(
  op: string,
  options: SolverOptions & { damping?: number },
): void {
  requireOptions(op, options, [
    'tolerance',
    'maxIterations',
    'onIteration',
    'signal',
    ...(op === 'cg' ? [] : ['damping']),
  ]);
  const { tolerance = 0, maxIterations = 1, damping = 0, onIteration } = options;
  requireAtLeast(op, 'tolerance', tolerance, 0);
  requireWhole(op, 'maxIterations', maxIterations, 1);
  requireAtLeast(op, 'damping', damping, 0);
  if (onIteration !== undefined) requireFunction(op, 'onIteration', onIteration);
}

/** Reports progress. @returns the reason to stop, if there is one. */
export function progress(options: SolverOptions, state: SolverProgress): StopReason | undefined {
  const { tolerance = 1e-6, maxIterations = 100, onIteration } = options;
  const goOn = onIteration?.(state);
  // NaN passes no comparison, so it would otherwise run to the limit.
  if (!Number.isFinite(state.residual)) return 'breakdown';
  if (state.residual <= tolerance) return 'residual';
  if (state.normalResidual !== undefined && state.normalResidual <= tolerance) {
    return 'normalResidual';
  }
  if (goOn === false || options.signal?.aborted) return 'stopped';
  return state.iteration >= maxIterations ? 'maxIterations' : undefined;
}

/** The end of least squares whose numbers are no longer finite. */
export function brokenDown<U extends Vector>(x: U, iteration: number): Solution<U> {
  return { x, iteration, residual: Number.NaN, normalResidual: Number.NaN, reason: 'breakdown' };
}

/** Frees at the end what a solver works with. */
export interface Workspace {
  /** Takes over a vector. */
  own<V extends Vector>(v: V): V;
  /** Runs at the end. */
  defer(release: () => void): void;
}

/**
 * Runs a solver in a workspace. What it owns is freed when it ends, also when an operator or a
 * callback throws; x is spared when there is a solution.
 */
export async function inWorkspace<U extends Vector>(
  solve: (workspace: Workspace) => Promise<Solution<U>>,
): Promise<Solution<U>> {
  const owned: Vector[] = [];
  const releases: (() => void)[] = [];
  let kept: ReadonlySet<Tensor> = new Set();
  try {
    const solution = await solve({
      own(v) {
        leavesOf(v);
        owned.push(v);
        return v;
      },
      defer: (release) => void releases.push(release),
    });
    // Recurrences know of residuals only, and these may be small where x has left the range of numbers.
    const finite = Number.isFinite(await vectorNorm(solution.x));
    kept = new Set(leavesOf(solution.x));
    return finite ? solution : { ...solution, reason: 'breakdown' };
  } finally {
    for (const t of owned.flatMap(leavesOf)) if (!kept.has(t)) t.dispose();
    for (const release of releases) release();
  }
}
