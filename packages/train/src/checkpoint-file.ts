/** Checkpoints on disk, in Node. */
import {
  type CheckpointSource,
  type CheckpointTarget,
  checkpointBytes,
  restoreCheckpoint,
} from './checkpoint.ts';
import { readWhole, writeWhole } from './file.ts';

/**
 * Saves a checkpoint atomically: whatever happens, even a kill or a loss of power, `path` holds
 * either what it held before or the whole new checkpoint.
 *
 * @throws CheckpointError when the file cannot be written; what was there is untouched.
 * @example
 * await saveCheckpoint('run.safetensors', { parameters: flow.parameters, optimizer, metadata: { step: '100' } });
 */
export async function saveCheckpoint(path: string, source: CheckpointSource): Promise<void> {
  await writeWhole('saveCheckpoint', path, await checkpointBytes(source));
}

/**
 * Loads a checkpoint; see `restoreCheckpoint`.
 *
 * @throws CheckpointError when the file cannot be read or does not fit.
 * @throws SafetensorsFormatError when it is not a whole safetensors file.
 * @example const { step } = await loadCheckpoint('run.safetensors', { parameters: flow.parameters, optimizer });
 */
export async function loadCheckpoint(
  path: string,
  target: CheckpointTarget,
): Promise<Readonly<Record<string, string>>> {
  return restoreCheckpoint(await readWhole('loadCheckpoint', path), target, path);
}
