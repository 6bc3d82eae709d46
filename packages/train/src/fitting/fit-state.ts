/** What a fit knows of itself between two steps beside its arrays: all that is needed to go on. */
import type { FitPlace } from './batches.ts';
import type { BestEpoch, FitEpoch, FitWarning } from './options.ts';

/** Plain data, which go into a checkpoint as JSON. */
export interface FitState {
  place: FitPlace;
  /** Of the epoch so far: Σ weight · loss, and Σ weight. */
  lossSum: number;
  weightSum: number;
  readonly history: FitEpoch[];
  best: BestEpoch | undefined;
  /** Of the rows: the mean of their weights. */
  readonly meanWeight: number;
  warnings: readonly FitWarning[];
  /** The state of a schedule that follows the loss. */
  schedule?: Readonly<Record<string, number>> | undefined;
}

/** The state before the first step. */
export function firstState(meanWeight: number, warnings: readonly FitWarning[]): FitState {
  const place = { epoch: 0, batch: 0, step: 0 };
  const empty = { lossSum: 0, weightSum: 0, history: [], best: undefined };
  return { place, ...empty, meanWeight, warnings };
}

/** JSON has no word for a loss that is infinite. */
export function stateText(state: FitState): string {
  return JSON.stringify(state, (_, value) =>
    value === Number.POSITIVE_INFINITY ? 'Infinity' : value,
  );
}

/** The state of a text of `stateText`. */
export function stateOfText(text: string): FitState {
  const state: FitState = JSON.parse(text, (_, value) =>
    value === 'Infinity' ? Number.POSITIVE_INFINITY : value,
  );
  return state;
}
