/** Simulations that failed: what is kept of them, and what whoever learns from the others is told. */
import type { FitWarning } from '@invnet/train';
import { type FailureReason, failureReasons } from './simulator.ts';

/** A simulation that gave nothing to learn from. */
export interface SimulationFailure {
  /** Of the simulation, from 0. */
  readonly index: number;
  readonly theta: Float64Array;
  readonly reason: FailureReason;
  readonly message: string;
  /** What was thrown, where it was in this thread. */
  readonly cause?: unknown;
}

/** What is probably not as it was meant, though something was learned: of simulations that failed, or of the fit to the others. */
export interface LearningWarning {
  readonly kind: FitWarning['kind'] | 'failed-simulations';
  readonly message: string;
}

/**
 * How many simulations failed beside those that there are, and of what; nothing where none did.
 *
 * @example failureWarnings(failures, 997) // [{ kind: 'failed-simulations', message: '3 of 1000 simulations failed, …' }]
 */
export function failureWarnings(
  failures: readonly SimulationFailure[],
  succeeded: number,
): LearningWarning[] {
  if (failures.length === 0) return [];
  const reasons = failureReasons.flatMap((reason) => {
    const own = failures.filter((failure) => failure.reason === reason);
    const [first] = own;
    if (!first) return [];
    return [`${own.length} ${saidOf[reason]} (${own.length > 1 ? 'first: ' : ''}${first.message})`];
  });
  const message =
    `${failures.length} of ${failures.length + succeeded} simulations failed, and are left out: ${reasons.join(', ')}. ` +
    'What is learned is given that a simulation succeeds.';
  return [{ kind: 'failed-simulations', message }];
}

const saidOf: Readonly<Record<FailureReason, string>> = {
  threw: 'threw',
  timeout: 'ran out of time',
  'not finite': 'gave numbers that are not finite',
};
