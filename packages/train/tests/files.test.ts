/** Files on disk: the old one or the new one, whatever happens, and wherever the path leads. */
import { spawn } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AffineLayer, Parameter } from '@invnet/layers';
import { InvNetError, setBackend, tensor } from '@invnet/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointError, loadCheckpoint, saveCheckpoint, saveModel } from '../src/index.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  await setBackend('reference', { dtype: 'float64' });
  directory = await mkdtemp(join(await realpath(tmpdir()), 'invnet-files-'));
  path = join(directory, 'model.safetensors');
});
afterEach(() => rm(directory, { recursive: true }));

const weights = (value = 1) => ({ parameters: [new Parameter('p', tensor([value]))] });

async function valueAt(file: string): Promise<number> {
  const target = weights(0);
  await loadCheckpoint(file, target);
  return target.parameters[0]!.data.dataSync()[0]!;
}

const script = fileURLToPath(new URL('./save-repeatedly.ts', import.meta.url));
/** The command of a process that saves 3 MB to `path` until it is stopped. */
const saveForever = (): [string, ...string[]] => [process.execPath, script, path, '100000'];

describe('saving', () => {
  it('leaves the old file and no rubbish when it fails', async () => {
    const missing = join(directory, 'missing', 'model.safetensors');
    await expect(saveCheckpoint(missing, weights())).rejects.toThrow(
      /cannot write .*: there is no folder .*missing; make it first/,
    );
    const folder = saveCheckpoint(directory, weights());
    await expect(folder).rejects.toThrow(CheckpointError);
    await expect(folder).rejects.toThrow(/: it is a folder; expected the path of a file/);
    await expect(saveModel(path, 'model' as never)).rejects.toThrow(/saveModel: got 'model'/);
    await expect(saveCheckpoint(undefined as never, weights())).rejects.toThrow(CheckpointError);
    expect(await readdir(directory)).toEqual([]);
    await saveCheckpoint(path, weights());
    const before = await readFile(path);
    const [p] = weights().parameters;
    const spoiled = [
      { parameters: [p!, p!] },
      { ...weights(), metadata: { step: 5 } as never },
      weights(Number.NaN),
    ];
    for (const source of spoiled) {
      await expect(saveCheckpoint(path, source)).rejects.toThrow(InvNetError);
      expect(await readFile(path)).toEqual(before);
    }
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it.skipIf(process.platform === 'win32')('leaves the old file when the disk is full', async () => {
    await saveCheckpoint(path, weights());
    const before = await readFile(path);
    // A limit on the size of files stands in for a disk: the write fails half way.
    const child = spawn('sh', ['-c', 'ulimit -f 1000 && exec "$@"', 'sh', ...saveForever()], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(errors).toMatch(/CheckpointError: saveCheckpoint: cannot write .*EFBIG/);
    expect(code).toBe(1);
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('leaves a whole file whenever the process is killed', async () => {
    for (let kill = 0; kill < 5; kill++) {
      const [program, ...args] = saveForever();
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      // Killed after some saves, in the middle of a later one, at a moment that varies by itself.
      await new Promise<void>((resolve, reject) => {
        child.stdout.on('data', () => {
          if (!child.killed) setTimeout(() => child.kill('SIGKILL'), 7 * kill);
        });
        child.on('exit', (code, signal) =>
          signal === 'SIGKILL' ? resolve() : reject(new Error(`the child ended with ${code}`)),
        );
      });
      const layer = new AffineLayer({ channels: 100_000 });
      const { step } = await loadCheckpoint(path, layer);
      for (const p of layer.parameters) {
        expect(p.data.dataSync().every((v) => v === Number(step))).toBe(true);
      }
      layer.dispose();
    }
  });

  it('succeeds always when threads save to one path at once', async () => {
    const ends = Array.from({ length: 4 }, () => {
      const worker = new Worker(script, { argv: [path, '1000', '50'], stdout: true });
      return new Promise<number>((resolve, reject) => {
        worker.on('error', reject);
        worker.on('exit', resolve);
      });
    });
    expect(await Promise.all(ends)).toEqual([0, 0, 0, 0]);
    const layer = new AffineLayer({ channels: 1000 });
    expect(await loadCheckpoint(path, layer)).toEqual({ step: '49' });
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('removes what killed processes left a day ago, and nothing else', async () => {
    const leftovers = [0, 1].map((i) => `.invnet-${`${i}`.repeat(36)}.tmp`);
    const others = ['.invnet-notes.tmp', 'model.safetensors.1-0.tmp'];
    const [long, recent] = [48, 1].map((hours) => new Date(Date.now() - hours * 3_600_000));
    for (const name of [...leftovers, ...others]) {
      await writeFile(join(directory, name), '');
      await utimes(join(directory, name), long!, name === leftovers[0] ? recent! : long!);
    }
    await saveCheckpoint(path, weights());
    const kept = [leftovers[0]!, ...others, 'model.safetensors'];
    expect((await readdir(directory)).sort()).toEqual(kept.sort());
  });
});

describe('paths', () => {
  it('may have names as long as the system allows', async () => {
    const longest = join(directory, `${'x'.repeat(255 - 12)}.safetensors`);
    await saveCheckpoint(longest, weights(2));
    await saveCheckpoint(longest, weights(3));
    expect(await valueAt(longest)).toBe(3);
    const named = { parameters: [new Parameter('p'.repeat(1000), tensor([4]))] };
    await saveCheckpoint(path, named);
    expect(await loadCheckpoint(path, named)).toEqual({});
  });

  it('may be symbolic links, which stay', async () => {
    await mkdir(join(directory, 'runs'));
    await mkdir(join(directory, 'links'));
    const first = join(directory, 'links', 'first');
    const second = join(directory, 'links', 'second');
    const target = join(directory, 'runs', 'model.safetensors');
    await symlink(join('..', 'runs', 'model.safetensors'), second);
    await symlink(second, first);
    // First it points to nothing, then to a file.
    for (const value of [5, 6]) {
      await saveCheckpoint(first, weights(value));
      expect(await valueAt(target)).toBe(value);
      expect(await valueAt(first)).toBe(value);
    }
    for (const link of [first, second]) expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect(await readdir(join(directory, 'runs'))).toEqual(['model.safetensors']);
    const [a, b] = [join(directory, 'a'), join(directory, 'b')];
    await symlink(a, b);
    await symlink(b, a);
    await expect(saveCheckpoint(a, weights())).rejects.toThrow(/cannot write .*ELOOP/);
  });

  it('keep their permissions', async () => {
    await saveCheckpoint(path, weights(1));
    await chmod(path, 0o600);
    await saveCheckpoint(path, weights(2));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('that lead to something else than a file are refused', async () => {
    const socket = join(directory, 'socket');
    const server = createServer().listen(socket);
    await expect(saveCheckpoint(socket, weights())).rejects.toThrow(/cannot write .*no file/);
    expect((await lstat(socket)).isSocket()).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });
});
