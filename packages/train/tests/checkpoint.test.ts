import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layerCatalogue, Parameter, zeroGrad } from '@invnet/layers';
import { InvNetError, memory, setBackend, tensor } from '@invnet/tensor';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Adam,
  CheckpointError,
  type CheckpointTarget,
  checkpointBytes,
  constant,
  type HostTensor,
  loadCheckpoint,
  modelBytes,
  modelFromBytes,
  modelInfo,
  readSafetensors,
  restoreCheckpoint,
  SafetensorsFormatError,
  saveCheckpoint,
  train,
  writeSafetensors,
} from '../src/index.ts';
import {
  problemOf,
  type Quadratic,
  QuadraticModel,
  quadratic,
  targets,
  values,
} from './quadratic.ts';

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
  const run = train({
    ...problemOf(model),
    optimizer,
    batches: targets(),
    schedule: constant(0.1),
  });
  for (let i = 0; i < steps; i++) await run.next();
  return { ...model, optimizer };
}

/** What a checkpoint is of, in a record with more. */
function partsOf({ parameters, optimizer }: CheckpointTarget): CheckpointTarget {
  return { parameters, optimizer };
}

describe('checkpoints', () => {
  it('bring back parameters, optimizer and metadata', async () => {
    const source = await trained();
    const metadata = { step: '3', random: '{"seed":1,"block":2}' };
    await saveCheckpoint(path, { ...partsOf(source), metadata });
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = memory().liveBytes;
    expect(await loadCheckpoint(path, partsOf(target))).toEqual(metadata);
    expect(memory().liveBytes).toBe(before + 2 * 7 * 8);
    expect(values(target)).toEqual(values(source));
    expect(await target.optimizer.state(target.parameters)).toEqual(
      await source.optimizer.state(source.parameters),
    );
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('are the whole model too: parameters by path, loadable without the optimizer', async () => {
    const source = await trained();
    const bytes = await checkpointBytes({ ...partsOf(source), metadata: { step: '3' } });
    const { tensors } = readSafetensors(bytes);
    expect([...tensors.keys()]).toEqual(
      expect.arrayContaining(['layer.w', 'layer.b', 'optimizer/adam/m/layer.w']),
    );
    const target = quadratic();
    restoreCheckpoint(bytes, partsOf(target));
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
    restoreCheckpoint(bytes, { ...partsOf(target), parameters: [...target.parameters, other] });
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
    const bytes = await checkpointBytes(partsOf(await trained()));
    const target = { ...quadratic({ label: 'second' }), optimizer: new Adam() };
    const before = values(target);
    const load = () => restoreCheckpoint(bytes, partsOf(target), 'm.safetensors');
    expect(load).toThrow(CheckpointError);
    expect(load).toThrow(
      /m\.safetensors is of another network: 'label' is "first" in m\.safetensors and "second" in the network/,
    );
    expect(values(target)).toEqual(before);
    expect(await target.optimizer.state(target.parameters)).toEqual(new Map());
  });

  it('whose arrays are not those of their configuration are refused, and nothing changes', async () => {
    const { tensors, metadata } = readSafetensors(await checkpointBytes(partsOf(await trained())));
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = values(target);
    const load = (change: (tensors: Map<string, HostTensor>) => void) => () => {
      const changed = new Map(tensors);
      change(changed);
      restoreCheckpoint(
        writeSafetensors({ tensors: changed, metadata }),
        partsOf(target),
        'm.safetensors',
      );
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

  it('refuse names that they do not know, by which an optimizer would be left out', async () => {
    const { parameters, optimizer } = await trained();
    const misspelt = { parameters, optimiser: optimizer };
    await expect(checkpointBytes(misspelt)).rejects.toThrow(/no option 'optimiser'/);
    const bytes = await checkpointBytes({ parameters, optimizer });
    expect(() => restoreCheckpoint(bytes, misspelt)).toThrow(/no option 'optimiser'/);
  });

  it('without the state that is asked for are refused', async () => {
    const source = await trained();
    const bytes = await checkpointBytes(source.model);
    const target = { ...quadratic(), optimizer: new Adam() };
    const before = values(target);
    expect(() => restoreCheckpoint(bytes, partsOf(target))).toThrow(
      /has the state of no optimizer; expected that of adam/,
    );
    expect(values(target)).toEqual(before);
  });

  it('that are truncated, foreign or absent give one clear error', async () => {
    const target = quadratic();
    await expect(loadCheckpoint(path, partsOf(target))).rejects.toThrow(CheckpointError);
    await expect(loadCheckpoint(path, partsOf(target))).rejects.toThrow(
      /cannot read .*model\.safetensors: ENOENT/,
    );
    await writeFile(path, 'not a checkpoint at all');
    await expect(loadCheckpoint(path, partsOf(target))).rejects.toThrow(SafetensorsFormatError);
    const bytes = await checkpointBytes(partsOf(await trained()));
    await writeFile(path, bytes.subarray(0, -1));
    await expect(loadCheckpoint(path, partsOf(target))).rejects.toThrow(
      /model\.safetensors is truncated/,
    );
  });

  it('need a name for each parameter', async () => {
    const twins = [new Parameter('p', tensor([1])), new Parameter('p', tensor([2]))];
    await expect(checkpointBytes({ parameters: twins })).rejects.toThrow(
      /two parameters are named 'p'/,
    );
  });

  it('with parameters named as the optimizer names its state come back', async () => {
    const steps = async (names: readonly string[]) => {
      const parameters = names.map((name, i) => new Parameter(name, tensor([i, -i])));
      const optimizer = new Adam();
      for (const p of parameters) p.accumulateGrad(tensor([1, 2 + p.size]));
      optimizer.step(parameters, { learningRate: 0.1 });
      return { parameters, optimizer };
    };
    const names = ['w', 'optimizer/w', 'optimizer/adam/w', 'optimizer/adam/m/v', 'n'.repeat(300)];
    const source = await steps(names);
    const bytes = await checkpointBytes(source);
    for (const optimizer of [undefined, new Adam()]) {
      const target = names.map((name) => new Parameter(name, tensor([9, 9])));
      restoreCheckpoint(bytes, { parameters: target, optimizer });
      expect(values({ parameters: target })).toEqual(values(source));
      expect((await optimizer?.state(target)) ?? new Map()).toEqual(
        optimizer ? await source.optimizer.state(source.parameters) : new Map(),
      );
    }
    const weights = await checkpointBytes({ parameters: source.parameters });
    const target = names.map((name) => new Parameter(name, tensor([9, 9])));
    restoreCheckpoint(weights, { parameters: target });
    expect(values({ parameters: target })).toEqual(values(source));
    await expect(checkpointBytes(await steps(['w', 'optimizer/adam/v/w']))).rejects.toThrow(
      /a parameter is called 'optimizer\/adam\/v\/w', as is a part of the optimizer's state/,
    );
  });

  it('have metadata of text alone, also those of weights alone', async () => {
    const { model } = quadratic();
    const weights = { parameters: [new Parameter('p', tensor([1]))] };
    for (const metadata of [{ step: 5 }, { a: null }, { 'invnet.format': '2' }, ['x'], 'text']) {
      for (const { parameters } of [model, weights]) {
        const save = checkpointBytes({ parameters, metadata: metadata as never });
        await expect(save).rejects.toThrow(CheckpointError);
        await expect(save).rejects.toThrow(/^metadata .*expected /);
      }
      await expect(modelBytes(model, metadata as never)).rejects.toThrow(CheckpointError);
    }
  });

  it('whose configuration has very many levels are refused, however many', async () => {
    const bytes = await checkpointBytes(quadratic().model);
    const { tensors, metadata } = readSafetensors(bytes);
    for (const levels of [240, 300, 200_000]) {
      const config = `${'{"$type":"Sequential","layers":['.repeat(levels)}${']}'.repeat(levels)}`;
      const spoiled = writeSafetensors({
        tensors,
        metadata: { ...metadata, 'invnet.model': config },
      });
      expect(() => restoreCheckpoint(spoiled, quadratic().model)).toThrow(CheckpointError);
      expect(() => modelFromBytes(spoiled, { modules: layerCatalogue })).toThrow(InvNetError);
    }
  });

  it('are finite: what an update ruined is not saved, and named', async () => {
    const ruin = async (spoil: (model: Quadratic & { optimizer: Adam }) => void) => {
      const model = await trained();
      spoil(model);
      return checkpointBytes(partsOf(model));
    };
    const set = (p: Parameter, value: number) => {
      using values = tensor(new Float64Array(p.size).fill(value), p.shape);
      p.assign(values);
    };
    await expect(ruin(({ parameters }) => set(parameters[1]!, Number.NaN))).rejects.toThrow(
      /checkpointBytes: 'layer\.b' holds NaN, as number 0 of 4/,
    );
    const { model } = quadratic();
    set(model.parameters[0]!, Number.POSITIVE_INFINITY);
    await expect(modelBytes(model)).rejects.toThrow(CheckpointError);
    await expect(modelBytes(model)).rejects.toThrow(/modelBytes: 'layer\.w' holds Infinity/);
    // Finite parameters whose moments are not: the square of a gradient overflows.
    const moments = ruin(({ parameters, optimizer }) => {
      zeroGrad(parameters);
      parameters[0]!.accumulateGrad(tensor([0, 1e200, 0]));
      optimizer.step(parameters, { learningRate: 0.1 });
    });
    await expect(moments).rejects.toThrow(
      /'optimizer\/adam\/v\/layer\.w' holds Infinity, as number 1 of 3/,
    );
  });

  it('of a run that an update ruins keep the last good step', async () => {
    await setBackend('reference', { dtype: 'float32' });
    const { parameters, loss } = quadratic();
    const optimizer = new Adam();
    const saved: number[] = [];
    let good = await checkpointBytes({ parameters, optimizer });
    // The third update is of a finite rate, and leaves nothing finite in float32.
    const schedule = (step: number) => (step === 2 ? 1e200 : 0.1);
    const run = async () => {
      for await (const { step } of train({
        parameters,
        optimizer,
        loss,
        batches: targets(),
        schedule,
      })) {
        const metadata = { step: String(step) };
        const attempt = await checkpointBytes({ parameters, optimizer, metadata }).catch(
          () => null,
        );
        good = attempt ?? good;
        if (attempt) saved.push(step);
      }
    };
    await expect(run()).rejects.toThrow(
      /in step 4 .*the value of parameter 'layer\.w', since before this step\. This step changed/,
    );
    expect(saved).toEqual([1, 2]);
    expect(restoreCheckpoint(good, { parameters, optimizer })).toEqual({ step: '2' });
    expect(values({ parameters }).flat().every(Number.isFinite)).toBe(true);
  });
});
