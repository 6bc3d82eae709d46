/**
 * Checkpoints on disk, in Node. A file is written beside its target, flushed, and renamed over it,
 * so at any moment the path holds a whole checkpoint: the old one or the new one.
 */
import {
  CheckpointError,
  type CheckpointSource,
  type CheckpointTarget,
  checkpointBytes,
  restoreCheckpoint,
} from './checkpoint.ts';
import { nodeModule } from './node.ts';

let saves = 0;

/**
 * Saves a checkpoint atomically: whatever happens, even a kill or a loss of power, `path` holds
 * either what it held before or the whole new checkpoint.
 *
 * @throws CheckpointError when the file cannot be written; what was there is untouched.
 * @example
 * await saveCheckpoint('model.safetensors', { parameters, optimizer, metadata: { step: '100' } });
 */
export async function saveCheckpoint(path: string, source: CheckpointSource): Promise<void> {
  const fs = nodeModule('node:fs/promises', 'saveCheckpoint');
  const bytes = await checkpointBytes(source);
  await removeLeftovers(path);
  // One name per process and save, so that two that save at once do not write into one file.
  const temporary = `${path}.${process.pid}-${saves++}.tmp`;
  try {
    const file = await fs.open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, path);
  } catch (cause) {
    await fs.rm(temporary, { force: true });
    throw new CheckpointError(`saveCheckpoint: cannot write ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
  await syncFolder(path);
}

/**
 * Loads a checkpoint; see `restoreCheckpoint`.
 *
 * @throws CheckpointError when the file cannot be read or does not fit.
 * @throws SafetensorsFormatError when it is not a whole safetensors file.
 * @example const { step } = await loadCheckpoint('model.safetensors', { parameters, optimizer });
 */
export async function loadCheckpoint(
  path: string,
  target: CheckpointTarget,
): Promise<Readonly<Record<string, string>>> {
  const fs = nodeModule('node:fs/promises', 'loadCheckpoint');
  const bytes = await fs.readFile(path).catch((cause: unknown) => {
    throw new CheckpointError(`loadCheckpoint: cannot read ${path}: ${messageOf(cause)}`, {
      cause,
    });
  });
  return restoreCheckpoint(bytes, target, path);
}

/** Removes what a killed process left while it wrote this checkpoint. */
async function removeLeftovers(path: string): Promise<void> {
  const fs = nodeModule('node:fs/promises', 'saveCheckpoint');
  const { basename, dirname, join } = nodeModule('node:path', 'saveCheckpoint');
  const prefix = `${basename(path)}.`;
  for (const name of await fs.readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const pid = /^(\d+)-\d+\.tmp$/.exec(name.slice(prefix.length))?.[1];
    if (pid && !isRunning(Number(pid))) await fs.rm(join(dirname(path), name), { force: true });
  }
}

/** Makes the rename itself last; Windows cannot open folders, and does without. */
async function syncFolder(path: string): Promise<void> {
  const fs = nodeModule('node:fs/promises', 'saveCheckpoint');
  const folder = nodeModule('node:path', 'saveCheckpoint').dirname(path);
  const handle = await fs.open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // A process of another user is running too, but may not be signalled.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
