/**
 * Whole files on disk, in Node. A file is written beside its target, flushed, and renamed over it, so at
 * any moment the path holds a whole file: the old one or the new one.
 */
import { CheckpointError } from './fit.ts';
import { nodeModule } from './node.ts';

let saves = 0;

/**
 * Writes a file atomically: whatever happens, even a kill or a loss of power, `path` holds either
 * what it held before or the whole new file.
 *
 * @throws CheckpointError when the file cannot be written; what was there is untouched.
 */
export async function writeWhole(op: string, path: string, bytes: Uint8Array): Promise<void> {
  const fs = nodeModule('node:fs/promises', op);
  await removeLeftovers(op, path);
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
    throw new CheckpointError(`${op}: cannot write ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
  await syncFolder(op, path);
}

/** Reads a file. @throws CheckpointError when it cannot be read. */
export async function readWhole(op: string, path: string): Promise<Uint8Array> {
  const fs = nodeModule('node:fs/promises', op);
  return fs.readFile(path).catch((cause: unknown) => {
    throw new CheckpointError(`${op}: cannot read ${path}: ${messageOf(cause)}`, { cause });
  });
}

/** Removes what a killed process left while it wrote this file. */
async function removeLeftovers(op: string, path: string): Promise<void> {
  const fs = nodeModule('node:fs/promises', op);
  const { basename, dirname, join } = nodeModule('node:path', op);
  const prefix = `${basename(path)}.`;
  for (const name of await fs.readdir(dirname(path)).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const pid = /^(\d+)-\d+\.tmp$/.exec(name.slice(prefix.length))?.[1];
    if (pid && !isRunning(Number(pid))) await fs.rm(join(dirname(path), name), { force: true });
  }
}

/** Makes the rename itself last; Windows cannot open folders, and does without. */
async function syncFolder(op: string, path: string): Promise<void> {
  const fs = nodeModule('node:fs/promises', op);
  const folder = nodeModule('node:path', op).dirname(path);
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
