/**
 * Whole files on disk, in Node. A file is written beside its target, flushed, and renamed over it, so at
 * any moment the path holds a whole file: the old one or the new one. Of several that write at once,
 * threads, processes or machines that share a folder, the last one stays.
 *
 * Left out: locks. Nobody judges whether another writer still lives; what a killed one left is removed
 * when it has not been touched for a day.
 */
import { formatValue } from '@invnet/tensor';
import { CheckpointError } from './array-checks.ts';
import { nodeModule } from './node.ts';

/** What files are called while they are written: of one length, however long their target's name is. */
const temporaryName = /^\.invnet-[-0-9a-f]{36}\.tmp$/;
const dayInMilliseconds = 24 * 60 * 60 * 1000;

/**
 * Writes a file atomically: whatever happens, even a kill or a loss of power, `path` holds either
 * what it held before or the whole new file. A symbolic link stays, and what it points to is written; so
 * do a file's permissions.
 *
 * @throws CheckpointError when the file cannot be written; what was there is untouched.
 */
export async function writeWhole(op: string, path: string, bytes: Uint8Array): Promise<void> {
  requirePath(op, path);
  const fs = nodeModule('node:fs/promises', op);
  const { dirname, join } = nodeModule('node:path', op);
  let temporary: string | undefined;
  try {
    const target = await targetOf(op, path);
    const mode = await permissionsOf(op, target);
    const folder = dirname(target);
    temporary = join(folder, `.invnet-${crypto.randomUUID()}.tmp`);
    const file = await fs.open(temporary, 'wx').catch((error: unknown) => {
      ifAbsent(error);
      throw new Error(`there is no folder ${folder}; make it first.`);
    });
    try {
      // Before the first byte: what others may not read stays so.
      if (mode !== undefined) await file.chmod(mode).catch(() => undefined);
      await file.writeFile(bytes);
      await file.sync();
      await removeLeftovers(op, folder, (await file.stat()).mtimeMs);
    } finally {
      await file.close();
    }
    await fs.rename(temporary, target);
    await syncFolder(op, folder);
  } catch (cause) {
    if (temporary) await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw new CheckpointError(`${op}: cannot write ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Reads a file. @throws CheckpointError when it cannot be read. */
export async function readWhole(op: string, path: string): Promise<Uint8Array> {
  requirePath(op, path);
  const fs = nodeModule('node:fs/promises', op);
  return fs.readFile(path).catch((cause: unknown) => {
    throw new CheckpointError(`${op}: cannot read ${path}: ${messageOf(cause)}`, { cause });
  });
}

function requirePath(op: string, path: string): void {
  if (typeof path === 'string' && path !== '') return;
  throw new CheckpointError(`${op}: the path is ${formatValue(path)}; expected a text.`);
}

/** Where a file of this path is or would be, behind all links. @throws Error unless it can be replaced. */
async function targetOf(op: string, path: string): Promise<string> {
  const fs = nodeModule('node:fs/promises', op);
  const { dirname, resolve } = nodeModule('node:path', op);
  const found = await fs.realpath(path).catch(ifAbsent);
  if (found !== undefined) {
    // A rename would put a file in the place of a device or a pipe.
    const stat = await fs.stat(found);
    if (stat.isFile()) return found;
    const what = stat.isDirectory() ? 'a folder' : 'no file';
    throw new Error(`it is ${what}; expected the path of a file, which may be there or not.`);
  }
  const link = await fs.readlink(path).catch(() => undefined);
  if (link === undefined) return path;
  return targetOf(op, resolve(await fs.realpath(dirname(path)), link));
}

/** Who may read and write a file; undefined where there is none. */
async function permissionsOf(op: string, path: string): Promise<number | undefined> {
  const found = await nodeModule('node:fs/promises', op).stat(path).catch(ifAbsent);
  return found && found.mode & 0o777;
}

/**
 * Removes what killed processes left in a folder long before `now`, which is of the folder's own clock:
 * that of another machine may differ. Whoever still writes touches its file all the time.
 */
async function removeLeftovers(op: string, folder: string, now: number): Promise<void> {
  const fs = nodeModule('node:fs/promises', op);
  const { join } = nodeModule('node:path', op);
  for (const name of await fs.readdir(folder).catch(() => [])) {
    if (!temporaryName.test(name)) continue;
    const leftover = join(folder, name);
    // Another writer may have finished it, or removed it, meanwhile.
    const touched = await fs.stat(leftover).catch(() => undefined);
    if (touched && now - touched.mtimeMs > dayInMilliseconds) {
      await fs.rm(leftover, { force: true }).catch(() => undefined);
    }
  }
}

/** Makes the rename itself last; Windows cannot open folders, and does without. */
async function syncFolder(op: string, folder: string): Promise<void> {
  const fs = nodeModule('node:fs/promises', op);
  const handle = await fs.open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function ifAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
