/** What learning takes where nothing else is asked for. Mathematics: docs/math/inference/neural-posterior.md */
import { RandomStream } from '@invnet/tensor';
import { AdamW, type FitOptions, type FitResult, type Optimizer, plateau } from '@invnet/train';
import type { LearningWarning } from '../simulation/simulation-failure.ts';

/** What `fit` takes and is not decided here. */
export interface LearningOptions
  extends Omit<FitOptions, 'loss' | 'standardize' | 'missing' | 'onWarning'> {
  /** Told each warning as it comes, that of simulations that failed first; they are in the result too. */
  readonly onWarning?: (warning: LearningWarning) => void;
}

/** What `fit` gives, with the warnings of all that was learned from. */
export interface LearningResult extends Omit<FitResult, 'flow' | 'warnings'> {
  /** Of simulations that failed, by how many and why, and of the fit. */
  readonly warnings: readonly LearningWarning[];
}

/** The names of `LearningOptions`. */
export const learningOptions: readonly (keyof LearningOptions)[] = [
  ...(['epochs', 'batchSize', 'optimizer', 'schedule', 'validation', 'patience'] as const),
  ...(['clipNorm', 'noise', 'average', 'freeze', 'checkpoint', 'resume', 'communicator'] as const),
  ...(['seed', 'report', 'signal', 'onWarning'] as const),
];

/** How an estimator learns. Epochs are what they are for all numbers of rows. */
export interface Pace {
  /** At most. */
  readonly epochs: number;
  readonly patience: number;
  readonly rate: number;
  /** By what `plateau` multiplies the rate, and after how many epochs. */
  readonly factor: number;
  readonly plateau: number;
  /** Epochs over which weights are averaged. */
  readonly averaged: number;
  /** Epochs over which weights of an estimator of one parameter shrink by e; of D parameters, D² times as fast. */
  readonly forgetting: number;
}

/** By densities, whose validation loss says within a few epochs what a rate has left to give. */
export const likelihoodPace: Pace = {
  epochs: 300,
  patience: 15,
  rate: 2e-3,
  factor: 0.4,
  plateau: 2,
  averaged: 1,
  forgetting: 300,
};

/** Splines between bounds bear steps that are larger. */
export const boxPace: Pace = { ...likelihoodPace, rate: 5e-3 };

/** By flow matching, whose steps are cheap, and whose loss is mostly noise of its draws: all of it takes longer. */
export const matchingPace: Pace = {
  epochs: 600,
  patience: 60,
  rate: 2e-3,
  factor: 0.5,
  plateau: 15,
  averaged: 10,
  forgetting: 1500,
};

/** An epoch of `forgetting` has so many steps at least, in which weights learn something first. */
const fewestSteps = 5 / 6;

/**
 * Steps of a hundredth of the rows at a rate that falls where the validation loss no longer does, with weights that are averaged and
 * that decay: so the rate is low when a fit to few rows is about to learn them by heart, and high for as long as there is something
 * to learn from many. Who calls it disposes of an optimizer that was not in `how`.
 */
export function withDefaults(
  how: FitOptions,
  { rows, size, pace }: { rows: number; size: number; pace: Pace },
): FitOptions & { readonly optimizer: Optimizer } {
  const { epochs = pace.epochs, patience = pace.patience, validation = 0.1 } = how;
  const { batchSize = Math.min(256, Math.max(32, Math.round(rows / 100))) } = how;
  const steps = Math.ceil((rows * (1 - validation)) / batchSize);
  const { average = 1 - 1 / (pace.averaged * steps) } = how;
  const { rate, factor, forgetting } = pace;
  const { schedule = plateau({ rate, factor, patience: pace.plateau }) } = how;
  const shrinking = forgetting * Math.max(fewestSteps, steps / size ** 2 || 0);
  const { optimizer = new AdamW({ weightDecay: 1 / (rate * shrinking) }) } = how;
  return { ...how, epochs, patience, batchSize, average, schedule, optimizer };
}

/** Draws first weights, far behind what data and training draw from the same seed. */
export function weightsStream({ seed = 0 }: FitOptions): RandomStream {
  return new RandomStream(seed, 2 ** 51);
}
