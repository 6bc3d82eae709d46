/** What learning takes where nothing else is asked for. */
import { RandomStream } from '@invnet/tensor';
import { type FitOptions, plateau } from '@invnet/train';

/** What `fit` takes and is not decided here. */
export type LearningOptions = Omit<FitOptions, 'loss' | 'standardize' | 'missing'>;

/** The names of `LearningOptions`. */
export const learningOptions: readonly (keyof LearningOptions)[] = [
  ...(['epochs', 'batchSize', 'optimizer', 'schedule', 'validation', 'patience'] as const),
  ...(['clipNorm', 'noise', 'average', 'freeze', 'checkpoint', 'resume', 'communicator'] as const),
  ...(['seed', 'report', 'signal', 'onWarning'] as const),
];

/**
 * Steps of a hundredth of the rows at a rate that falls where the validation loss no longer does, with weights averaged over about
 * an epoch: so the rate is low when a fit to few rows is about to learn them by heart, and high for as long as there is something
 * to learn from many.
 */
export function withDefaults(how: FitOptions, rows: number, rate = 2e-3): FitOptions {
  const { epochs = 300, patience = 15, validation = 0.1 } = how;
  const { batchSize = Math.min(256, Math.max(32, Math.round(rows / 100))) } = how;
  const steps = Math.ceil((rows * (1 - validation)) / batchSize);
  const { average = 1 - 1 / steps } = how;
  const { schedule = plateau({ rate, factor: 0.4, patience: 2 }) } = how;
  return { ...how, epochs, patience, batchSize, average, schedule };
}

/** Draws first weights, far behind what data and training draw from the same seed. */
export function weightsStream({ seed = 0 }: FitOptions): RandomStream {
  return new RandomStream(seed, 2 ** 51);
}
