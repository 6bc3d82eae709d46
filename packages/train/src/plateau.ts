/** A learning rate that falls when the loss does no more. Mathematics: docs/math/train/schedules.md */
import {
  requireAtLeast,
  requireBetween,
  requireFinite,
  requireOptions,
  requireWhole,
} from '@invnet/tensor';
import type { Schedule } from './schedule.ts';

/**
 * A schedule that follows the loss: `fit` tells it that of each epoch, on the validation rows where there are some, and
 * keeps its state in checkpoints.
 */
export interface AdaptiveSchedule extends Schedule {
  observe(loss: number): void;
  /** All that it remembers, as plain numbers. */
  state(): Readonly<Record<string, number>>;
  /** Goes on from a state; without one, from the start. */
  load(state?: Readonly<Record<string, number>>): void;
}

/** What `plateau` is made of. */
export interface PlateauOptions {
  /** The first one. */
  readonly rate: number;
  /** What the rate is multiplied by, in (0, 1). Default: 0.1. */
  readonly factor?: number;
  /** Epochs in a row without a better loss that are let pass. Default: 10. */
  readonly patience?: number;
  /** By which part a loss has to fall below the best one to be better. Default: 1e-4. */
  readonly threshold?: number;
  /** Epochs after a fall of the rate in which none are counted. Default: 0. */
  readonly cooldown?: number;
  /** The lowest rate. Default: 0. */
  readonly finalRate?: number;
}

/**
 * Multiplies the rate by `factor` after `patience` epochs without a better loss: PyTorch's `ReduceLROnPlateau`, in its
 * relative mode; since losses here may be negative, a loss is better below best − threshold · |best|.
 *
 * @throws ValueError for numbers out of range.
 * @example fit(flow, rows, { schedule: plateau({ rate: 1e-3, factor: 0.5, patience: 5 }), patience: 20 })
 */
export function plateau(options: PlateauOptions): AdaptiveSchedule {
  const names = ['rate', 'factor', 'patience', 'threshold', 'cooldown', 'finalRate'];
  requireOptions('plateau', options, names);
  const { rate, factor = 0.1, patience = 10 } = options;
  const { threshold = 1e-4, cooldown = 0, finalRate = 0 } = options;
  requireAtLeast('plateau', 'rate', rate, 0);
  requireBetween('plateau', 'factor', factor, 0, 1);
  requireWhole('plateau', 'patience', patience, 0);
  requireAtLeast('plateau', 'threshold', threshold, 0);
  requireWhole('plateau', 'cooldown', cooldown, 0);
  requireAtLeast('plateau', 'finalRate', finalRate, 0);
  // Before the first loss there is no `best`.
  const start: Readonly<Record<string, number>> = { rate, bad: 0, cooling: 0 };
  let now = { ...start };
  const observe = (loss: number) => {
    // Rows of no density at all make it infinite, which is no better than anything.
    if (loss !== Number.POSITIVE_INFINITY) requireFinite('plateau', 'the loss', loss);
    const { best = Number.POSITIVE_INFINITY } = now;
    let { bad, cooling } = now as { bad: number; cooling: number };
    const least = best === Number.POSITIVE_INFINITY ? best : best - threshold * Math.abs(best);
    const better = loss < least;
    bad = better ? 0 : bad + 1;
    if (cooling > 0) [cooling, bad] = [cooling - 1, 0];
    let current = now.rate!;
    if (bad > patience) {
      current = Math.max(current * factor, finalRate);
      [cooling, bad] = [cooldown, 0];
    }
    const known = better ? loss : best;
    now = { rate: current, bad, cooling, ...(known < Number.POSITIVE_INFINITY && { best: known }) };
  };
  const load = (state = start) => {
    requireOptions('plateau', state, ['rate', 'bad', 'cooling', 'best']);
    for (const [name, value] of Object.entries(state)) requireFinite('plateau', name, value);
    now = { ...start, ...state };
  };
  return Object.assign(() => now.rate!, { observe, load, state: () => ({ ...now }) });
}

/** Does a schedule follow the loss? */
export function isAdaptive(schedule: Schedule): schedule is AdaptiveSchedule {
  return 'observe' in schedule && 'state' in schedule && 'load' in schedule;
}
