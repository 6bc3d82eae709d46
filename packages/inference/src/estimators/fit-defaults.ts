/** What learning takes where nothing else is asked for. */
import { RandomStream } from '@invnet/tensor';
import { type FitOptions, warmupCosine } from '@invnet/train';

/** Steps of a hundredth of the rows, and a rate that falls to nothing over all of them, which patience would cut short. */
export function withDefaults(how: FitOptions, rows: number): FitOptions {
  const { epochs = 100, validation = 0.1 } = how;
  const { batchSize = Math.min(256, Math.max(32, Math.round(rows / 100))) } = how;
  const { patience = epochs } = how;
  const steps = epochs * Math.ceil((rows * (1 - validation)) / batchSize);
  const schedule = how.schedule ?? warmupCosine({ rate: 1e-3, steps });
  return { ...how, epochs, batchSize, patience, schedule };
}

/** Draws first weights, far behind what data and training draw from the same seed. */
export function weightsStream({ seed = 0 }: FitOptions): RandomStream {
  return new RandomStream(seed, 2 ** 51);
}
