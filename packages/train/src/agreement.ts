/** How ranks make sure that they do the same: comparisons, and each one's part of a batch. */
import { configDifferences, type Json } from '@invnet/layers';
import { requireWhole, ValueError } from '@invnet/tensor';
import { type Communicator, CommunicatorError, requireCommunicator } from './communicator.ts';

/**
 * Compares what each rank gives, such as its options or the size of its data.
 *
 * @param what - What it is called in the message.
 * @throws CommunicatorError on all ranks unless all give the same; it names the rank and what differs.
 * @example requireSame(communicator, 'the data', { images: data.count });
 */
export function requireSame(
  communicator: Communicator,
  what: string,
  value: Readonly<Record<string, Json>>,
): void {
  requireCommunicator('requireSame', communicator);
  const all = communicator.gather(value);
  all.forEach((other, r) => {
    const names = ['rank 0', `rank ${r}`] as const;
    const differences = configDifferences(all[0]!, other, { names });
    if (differences.length === 0) return;
    throw new CommunicatorError(
      `${what} must be the same on all ranks, but ${differences.slice(0, 4).join('; ')}.`,
    );
  });
}

/** A rank's part of something. */
export interface Share {
  readonly first: number;
  readonly count: number;
}

/**
 * A rank's part of the samples of a batch, which come in the order of the ranks: n ranks with their parts see what one
 * process with the whole batch sees.
 *
 * @throws ValueError when there are more ranks than samples, or their parts would not be equal.
 * @example
 * const { first, count } = shareOf(communicator, 64); // of rank 1 of 4: 16 samples from the 16th on
 */
export function shareOf(communicator: Communicator, samples: number): Share {
  requireCommunicator('shareOf', communicator);
  requireWhole('shareOf', 'samples', samples, 1);
  const { rank, size } = communicator;
  if (samples < size) {
    throw new ValueError(
      `shareOf: ${size} ranks share ${samples} samples; expected at least one for each rank.`,
    );
  }
  if (samples % size !== 0) {
    throw new ValueError(
      `shareOf: ${size} ranks share ${samples} samples; expected a multiple of ${size}, so that all have as many.`,
    );
  }
  const count = samples / size;
  return { first: rank * count, count };
}
