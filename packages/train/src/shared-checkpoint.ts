/** Checkpoints of a training that several ranks share: one writes, and all resume from what one reads. */

import { CheckpointError } from './array-checks.ts';
import { type CheckpointSource, type CheckpointTarget, restoreCheckpoint } from './checkpoint.ts';
import { saveCheckpoint } from './checkpoint-file.ts';
import { type Communicator, requireCommunicator } from './communicator.ts';
import { readWhole } from './file.ts';

/**
 * As `saveCheckpoint`, by rank 0 for all, whose numbers are the same; returns on all ranks when the file is there.
 *
 * @throws CheckpointError on all ranks when it cannot be written.
 * @example await saveSharedCheckpoint(communicator, path, { parameters, optimizer, metadata });
 */
export async function saveSharedCheckpoint(
  communicator: Communicator,
  path: string,
  source: CheckpointSource,
): Promise<void> {
  requireCommunicator('saveSharedCheckpoint', communicator);
  await byRankZero(communicator, () => saveCheckpoint(path, source));
}

/**
 * As `loadCheckpoint`: rank 0 reads the file, and all load what it read, so that they go on from one state also where
 * each machine has files of its own.
 *
 * @throws CheckpointError, SafetensorsFormatError on all ranks.
 * @example const { step } = await loadSharedCheckpoint(communicator, path, { parameters, optimizer });
 */
export async function loadSharedCheckpoint(
  communicator: Communicator,
  path: string,
  target: CheckpointTarget,
): Promise<Readonly<Record<string, string>>> {
  requireCommunicator('loadSharedCheckpoint', communicator);
  const bytes = await readShared('loadSharedCheckpoint', communicator, path);
  return restoreCheckpoint(bytes, target, path);
}

/** The bytes of a file that rank 0 reads for all. @throws CheckpointError on all ranks when it cannot be read. */
export async function readShared(
  op: string,
  communicator: Communicator,
  path: string,
): Promise<Uint8Array> {
  const read = await byRankZero(communicator, () => readWhole(op, path));
  return communicator.broadcast(read ?? new Uint8Array());
}

/** What rank 0 did; undefined on the others. @throws on all ranks when it failed. */
async function byRankZero<T>(communicator: Communicator, act: () => Promise<T>) {
  let result: T | undefined;
  let failure: unknown;
  if (communicator.rank === 0) {
    result = await act().catch((error: unknown) => {
      failure = error;
      return undefined;
    });
  }
  const [message] = communicator.gather(failure === undefined ? '' : String(failure));
  if (failure !== undefined) throw failure;
  if (message) throw new CheckpointError(`rank 0 failed: ${message}`);
  return result;
}
