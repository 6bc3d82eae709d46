import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AffineLayer, Parameter } from '@invnet/layers';
import { memory, setBackend, tensor } from '@invnet/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  CheckpointError,
  checkpointBytes,
  constant,
  type HostTensor,
  loadCheckpoint,
  modelFromBytes,
  modelInfo,
  readSafetensors,
  restoreCheckpoint,
  SafetensorsFormatError,
  saveCheckpoint,
  train,
  writeSafetensors,
} from '../src/index.ts';
import { QuadraticModel, quadratic, targets, values } from './quadratic.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  await setBackend('reference', { dtype: 'float64' });
  directory = await mkdtemp(join(tmpdir(), 'invnet-checkpoint-'));
  path = join(directory, 'model.safetensors');
});
afterEach(() => rm(directory, { recursive: true }));

async function trained(steps = 3) {
  const model = quadratic();
  const optimizer = new Adam();
  const run = train({ ...model, optimizer, batches: targets(), schedule: constant(0.1) });
  for (let i = 0; i < steps; i++) await run.next();
  return { ...model, optimizer };
}

/** The command of a process that saves to `path` until it is stopped. */
function saveForever(): [string, ...string[]] {
  const script = fileURLToPath(new URL('./save-forever.ts', import.meta.url));
  return [process.execPath, script, path];
}

describe('checkpoints', () => {
  it('bring back parameters, optimizer and metadata', async () => {
    const source = await trained();
    const metadata = { step: '3', random: '{"seed":1,"block":2}' };
    await saveCheckpoint(path, { ...source, metadata });
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = memory().liveBytes;
    expect(await loadCheckpoint(path, target)).toEqual(metadata);
    expect(memory().liveBytes).toBe(before + 2 * 7 * 8);
    expect(values(target)).toEqual(values(source));
    expect(await target.optimizer.state(target.parameters)).toEqual(
      await source.optimizer.state(source.parameters),
    );
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('are the whole model too: parameters by path, loadable without the optimizer', async () => {
    const source = await trained();
    const bytes = await checkpointBytes({ ...source, metadata: { step: '3' } });
    const { tensors } = readSafetensors(bytes);
    expect([...tensors.keys()]).toEqual(
      expect.arrayContaining(['layer.w', 'layer.b', 'optimizer/adam/m/layer.w']),
    );
    const target = quadratic();
    restoreCheckpoint(bytes, target);
    expect(values(target)).toEqual(values(source));
    const { config, metadata } = modelInfo(bytes);
    expect([config, metadata]).toEqual([
      { $type: 'QuadraticModel', label: 'first' },
      { step: '3' },
    ]);
    const built = modelFromBytes(bytes, { modules: [QuadraticModel], as: QuadraticModel });
    expect(values(built)).toEqual(values(source));
  });

  it('of a list of all parameters are whole models, whoever holds the list', async () => {
    const source = await trained();
    const bytes = await checkpointBytes({ parameters: [...source.parameters].reverse() });
    expect(modelInfo(bytes).config.$type).toBe('QuadraticModel');
    const target = quadratic();
    restoreCheckpoint(bytes, { parameters: target.parameters.filter(() => true) });
    expect(values(target)).toEqual(values(source));
  });

  it('of a list put together by hand are weights alone, under their names', async () => {
    const source = await trained();
    const extra = (start: number) => new Parameter('extra', tensor([start]));
    const parameters = [...source.parameters, extra(5)];
    const bytes = await checkpointBytes({ parameters, optimizer: source.optimizer });
    expect(() => modelInfo(bytes)).toThrow(/weights alone/);
    const target = { ...quadratic(), optimizer: new Adam() };
    const other = extra(0);
    restoreCheckpoint(bytes, { ...target, parameters: [...target.parameters, other] });
    expect(values(target)).toEqual(values(source));
    expect([...other.data.dataSync()]).toEqual([5]);
    const part = await checkpointBytes({ parameters: source.parameters.slice(1) });
    const again = quadratic();
    restoreCheckpoint(part, { parameters: again.parameters.slice(1) });
    expect(values(again)[1]).toEqual(values(source)[1]);
    expect(await target.optimizer.state(target.parameters)).toEqual(
      await source.optimizer.state(source.parameters),
    );
  });

  it('keep float32 bit for bit', async () => {
    await setBackend('reference');
    const p = new Parameter('p', tensor([1 / 3, 1e-40, -0]));
    const bytes = await checkpointBytes({ parameters: [p] });
    const q = new Parameter('p', tensor([0, 0, 0]));
    restoreCheckpoint(bytes, { parameters: [q] });
    expect(q.data.dataSync()).toEqual(p.data.dataSync());
  });

  it('of another architecture are refused by name, and nothing changes', async () => {
    const source = await trained();
    const target = { ...quadratic(), optimizer: new Adam() };
    const [w, b] = target.parameters as unknown as [Parameter, Parameter];
    const extra = new Parameter('layer.extra', tensor([1, 2]));
    const short = new Parameter('layer.b', tensor([1]));
    // A whole model is compared with a list of parameters as weights alone are.
    const weights = source.parameters.map((p) => new Parameter(p.name, p));
    for (const parameters of [source.parameters, weights]) {
      const bytes = await checkpointBytes({ parameters, optimizer: source.optimizer });
      const load =
        (...list: Parameter[]) =>
        () =>
          restoreCheckpoint(
            bytes,
            { parameters: list, optimizer: target.optimizer },
            'm.safetensors',
          );
      const before = values(target);
      expect(load(w)).toThrow(CheckpointError);
      expect(load(w)).toThrow(
        /m\.safetensors is of another architecture: .*unexpected layer\.b \[2, 2\]/,
      );
      expect(load(w, b, extra)).toThrow(/it lacks layer\.extra \[2\]/);
      expect(load(w, short)).toThrow(/layer\.b has \[2, 2\], expected \[1\]/);
      expect(values(target)).toEqual(before);
      expect(await target.optimizer.state(target.parameters)).toEqual(new Map());
    }
  });

  it('of another configuration are refused by path, and nothing changes', async () => {
    const bytes = await checkpointBytes(await trained());
    const target = { ...quadratic({ label: 'second' }), optimizer: new Adam() };
    const before = values(target);
    const load = () => restoreCheckpoint(bytes, target, 'm.safetensors');
    expect(load).toThrow(CheckpointError);
    expect(load).toThrow(
      /m\.safetensors is of another network: 'label' is "first" in m\.safetensors and "second" in the network/,
    );
    expect(values(target)).toEqual(before);
    expect(await target.optimizer.state(target.parameters)).toEqual(new Map());
  });

  it('whose arrays are not those of their configuration are refused, and nothing changes', async () => {
    const { tensors, metadata } = readSafetensors(await checkpointBytes(await trained()));
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = values(target);
    const load = (change: (tensors: Map<string, HostTensor>) => void) => () => {
      const changed = new Map(tensors);
      change(changed);
      restoreCheckpoint(writeSafetensors({ tensors: changed, metadata }), target, 'm.safetensors');
    };
    expect(load((t) => t.delete('layer.w'))).toThrow(CheckpointError);
    expect(load((t) => t.delete('layer.w'))).toThrow(
      /m\.safetensors does not fit a QuadraticModel of its configuration: it lacks layer\.w \[3\]/,
    );
    const two = { shape: [2], data: Float64Array.of(1, 2) };
    expect(load((t) => t.set('layer.extra', two))).toThrow(/unexpected layer\.extra \[2\]/);
    expect(load((t) => t.set('layer.w', two))).toThrow(/layer\.w has \[2\], expected \[3\]/);
    expect(load((t) => t.delete('optimizer/adam/v/layer.w'))).toThrow(/it lacks v\/layer\.w/);
    expect(values(target)).toEqual(before);
    expect(await target.optimizer.state(target.parameters)).toEqual(new Map());
  });

  it('without the state that is asked for are refused', async () => {
    const source = await trained();
    const bytes = await checkpointBytes(source.model);
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = values(target);
    expect(() => restoreCheckpoint(bytes, target)).toThrow(
      /has the state of no optimizer; expected that of adam/,
    );
    expect(values(target)).toEqual(before);
  });

  it('that are truncated, foreign or absent give one clear error', async () => {
    const target = quadratic();
    await expect(loadCheckpoint(path, target)).rejects.toThrow(CheckpointError);
    await expect(loadCheckpoint(path, target)).rejects.toThrow(
      /cannot read .*model\.safetensors: ENOENT/,
    );
    await writeFile(path, 'not a checkpoint at all');
    await expect(loadCheckpoint(path, target)).rejects.toThrow(SafetensorsFormatError);
    const bytes = await checkpointBytes(await trained());
    await writeFile(path, bytes.subarray(0, -1));
    await expect(loadCheckpoint(path, target)).rejects.toThrow(/model\.safetensors is truncated/);
  });

  it('need a name for each parameter', async () => {
    const twins = [new Parameter('p', tensor([1])), new Parameter('p', tensor([2]))];
    await expect(checkpointBytes({ parameters: twins })).rejects.toThrow(
      /two parameters are named 'p'/,
    );
  });

  it('leave the old file and no rubbish when writing fails', async () => {
    const source = await trained();
    const missing = join(directory, 'missing', 'model.safetensors');
    await expect(saveCheckpoint(missing, source)).rejects.toThrow(/cannot write .*missing/);
    // A folder in the place of the file: the rename fails after the writing.
    await expect(saveCheckpoint(directory, source)).rejects.toThrow(CheckpointError);
    expect(await readdir(directory)).toEqual([]);
    await saveCheckpoint(path, source);
    const before = await readFile(path);
    const twins = [source.parameters[0]!, source.parameters[0]!];
    await expect(saveCheckpoint(path, { parameters: twins })).rejects.toThrow(CheckpointError);
    expect(await readFile(path)).toEqual(before);
  });

  it.skipIf(process.platform === 'win32')('leave the old file when the disk is full', async () => {
    await saveCheckpoint(path, await trained());
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

  it('may be saved twice at once', async () => {
    const source = await trained();
    await Promise.all(
      ['1', '2'].map((step) => saveCheckpoint(path, { ...source, metadata: { step } })),
    );
    expect(['1', '2']).toContain((await loadCheckpoint(path, quadratic())).step);
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('are whole whenever the process is killed', async () => {
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
    // Whatever the kills left beside it goes with the next save.
    await saveCheckpoint(path, quadratic());
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });
});
