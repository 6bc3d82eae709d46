/** What is loaded is loaded whole: wherever memory ends, all is as before, and nothing is left. */
import {
  ActNorm,
  AffineLayer,
  GlowCoupling,
  layerCatalogue,
  type Module,
  namedBuffers,
  type Parameter,
  ResNet,
  Sequential,
  zeroGrad,
} from '@invnet/layers';
import {
  getBackend,
  memory,
  OutOfMemoryError,
  ones,
  setBackend,
  sizeOf,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  Adam,
  checkpointBytes,
  modelFromBytes,
  readSafetensors,
  restoreCheckpoint,
  writeSafetensors,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

/** A module's parameters, the last of which were moved; its buffers hold `mark`. */
function moved(module: Module, from: number, mark: number) {
  for (const b of namedBuffers(module).values()) {
    b.write(new Float64Array(sizeOf(b.shape)).fill(mark));
  }
  const { parameters } = module;
  const optimizer = new Adam();
  for (const p of parameters.slice(from)) p.takeGrad(ones(p.shape));
  optimizer.step(parameters, { learningRate: 0.1 * (1 + mark) });
  zeroGrad(parameters);
  return { parameters, optimizer };
}

/** Parameters, running statistics and flags. */
function network(): Module {
  const conditioner = new ResNet({ inChannels: 1, hidden: 2, outChannels: 2, blocks: 1 });
  const coupling = new GlowCoupling({ channels: 2, conditioner });
  return new Sequential([new ActNorm({ channels: 2 }), coupling]);
}

/** Runs `load` as often as memory ends in it, one allocation later each time, and then to its end. */
async function atEachAllocation(load: () => void, afterwards: () => Promise<void>) {
  const account = getBackend().memory;
  for (let failing = 0; ; failing++) {
    let left = failing;
    const allocated = vi.spyOn(account, 'allocated');
    const count = account.constructor.prototype.allocated.bind(account);
    allocated.mockImplementation((bytes) => {
      if (left-- === 0) throw new OutOfMemoryError('injected.');
      count(bytes);
    });
    try {
      load();
      return failing;
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
    } finally {
      allocated.mockRestore();
    }
    await afterwards();
  }
}

describe('when memory ends', () => {
  const own = (bytes: Uint8Array<ArrayBuffer>) => bytes;
  const before = (bytes: Uint8Array<ArrayBuffer>) => {
    const weights = [...readSafetensors(bytes).tensors].filter(([n]) => !n.endsWith('initialized'));
    return writeSafetensors({
      tensors: new Map(weights),
      metadata: { 'invnet.optimizer': 'adam' },
    });
  };
  const all = (parameters: readonly Parameter[]) => parameters;
  const part = (parameters: readonly Parameter[]) => parameters.slice(1);

  it.each([
    ['a whole model', own, all],
    ['a file of the form before', before, all],
    ['weights of a part', own, part],
  ])('a network is as it was before %s', async (_, form, list) => {
    const made = moved(network(), 2, 1);
    const source = { ...made, parameters: list(made.parameters) };
    const bytes = form(await checkpointBytes(source));
    const target = moved(network(), 1, 0);
    const whole = await checkpointBytes(target);
    const { liveBytes, tensors } = memory();
    const load = () => {
      restoreCheckpoint(bytes, { ...target, parameters: list(target.parameters) });
    };
    const failures = await atEachAllocation(load, async () => {
      expect(memory()).toMatchObject({ liveBytes, tensors });
      expect(await checkpointBytes(target)).toEqual(whole);
    });
    // Each parameter, its two moments where it has some, and running statistics.
    expect(failures).toBeGreaterThan(3 * (source.parameters.length - 3));
    const loaded = await checkpointBytes({ ...target, parameters: list(target.parameters) });
    expect(form(loaded)).toEqual(bytes);
  });

  it.each([
    ['weights', (name: string) => !name.startsWith('optimizer/')],
    ['moments', (name: string) => name.startsWith('optimizer/adam/v')],
  ])('%s that are not finite here change nothing', async (_, isOne) => {
    const bytes = await checkpointBytes(moved(network(), 0, 1));
    const { tensors, metadata } = readSafetensors(bytes);
    const [name, { shape, data }] = [...tensors].filter(([key]) => isOne(key)).at(-2)!;
    await setBackend('wasm');
    const target = moved(network(), 1, 0);
    const before = await checkpointBytes(target);
    const account = memory();
    // The second is finite in the file.
    for (const value of [Number.NaN, 1e300]) {
      const spoiled = { shape, data: new Float64Array(data.length).fill(value) };
      const file = writeSafetensors({ tensors: new Map([...tensors, [name, spoiled]]), metadata });
      expect(() => restoreCheckpoint(file, target)).toThrow(
        /holds .*expected numbers that are finite as float32/,
      );
      expect(await checkpointBytes(target)).toEqual(before);
      expect(memory().tensors).toBe(account.tensors);
    }
  });

  it('a model that is being built is freed', async () => {
    const bytes = await checkpointBytes(moved(network(), 0, 1));
    const { liveBytes, tensors } = memory();
    await atEachAllocation(
      () => modelFromBytes(bytes, { modules: layerCatalogue }),
      async () => expect(memory()).toMatchObject({ liveBytes, tensors }),
    );
  });

  it('in a backend of so many bytes too', async () => {
    await setBackend('wasm', { maxBytes: 2 ** 22 });
    const channels = 30_000;
    const bytes = await checkpointBytes(moved(new AffineLayer({ channels }), 0, 1));
    const target = moved(new AffineLayer({ channels }), 1, 0);
    const whole = await checkpointBytes(target);
    const ballast: Tensor[] = [];
    expect(() => {
      for (;;) ballast.push(zeros([2 ** 13]));
    }).toThrow(OutOfMemoryError);
    let failures = 0;
    for (; ; failures++) {
      const { liveBytes } = memory();
      try {
        restoreCheckpoint(bytes, target);
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
      }
      expect(memory().liveBytes).toBe(liveBytes);
      expect(await checkpointBytes(target)).toEqual(whole);
      ballast.pop()!.dispose();
    }
    expect(failures).toBeGreaterThan(10);
    expect(await checkpointBytes(target)).toEqual(bytes);
  });
});
