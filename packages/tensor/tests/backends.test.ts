/** Backends as a whole: what disposing one ends and frees, and which one is the current. */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createGpuBackend } from '../src/gpu/index.ts';
import {
  add,
  assign,
  type Backend,
  BackendError,
  backendInfo,
  DisposedError,
  getBackend,
  matmul,
  memory,
  ReferenceBackend,
  registerBackend,
  setBackend,
  sum,
  type Tensor,
  tensor,
  ValueError,
  WasmBackend,
  zeros,
} from '../src/index.ts';
import { loadKernels } from '../src/wasm/kernels.ts';
import { Runtime } from '../src/wasm/runtime.ts';

declare module '../src/engine.ts' {
  interface BackendNames {
    slow: true;
    narrow: true;
    [slow: `slow ${number}`]: true;
  }
}

const backends: Record<string, () => Backend | Promise<Backend>> = {
  reference: () => new ReferenceBackend(),
  wasm: () => new WasmBackend(),
  'wasm, on two threads': () => WasmBackend.create({ threads: 2 }),
  gpu: () => createGpuBackend({ mode: 'webgpu' }),
};

afterEach(() => setBackend(new WasmBackend()));

describe.each(Object.entries(backends))('%s, disposed', (_, make) => {
  it('frees all, and refuses what needs it', async () => {
    const backend = await make();
    await setBackend(backend);
    const x = tensor([1, 2, 3, 4], [2, 2]);
    const y = add(x, x);
    const reshaped = x.reshape([4]);
    expect(memory()).toMatchObject({ liveBytes: 32, tensors: 3 });
    const waiting = y.data().then(
      (numbers) => expect([...numbers]).toEqual([2, 4, 6, 8]),
      (error) => expect(error).toBeInstanceOf(DisposedError),
    );
    backend.dispose();
    await waiting;
    expect(memory()).toMatchObject({ liveBytes: 0, tensors: 3 });
    for (const use of [
      () => zeros([1]),
      () => tensor([1]),
      () => add(x, y),
      () => matmul(x, x),
      () => sum(x),
      () => assign(x, y),
    ]) {
      expect(use).toThrow(DisposedError);
      expect(use).toThrow(/the backend was disposed.*setBackend/);
    }
    await expect((async () => y.data())()).rejects.toThrow(DisposedError);
    await expect(setBackend(backend)).rejects.toThrow(DisposedError);
    expect(getBackend()).toBe(backend);
    expect(backendInfo().name).toBe(backend.name);
    for (const t of [x, y, reshaped]) t.dispose();
    backend.dispose();
    expect(memory()).toMatchObject({ liveBytes: 0, tensors: 0 });
  });

  it('leaves other backends alone', async () => {
    const kept = await make();
    await setBackend(kept);
    const x = tensor([1, 2]);
    {
      using other = await make();
      await setBackend(other);
      tensor([3, 4]);
    }
    await setBackend(kept);
    expect([...(await add(x, x).data())]).toEqual([2, 4]);
    kept.dispose();
  });
});

it('ends the threads of every backend', async () => {
  const workers: Worker[] = [];
  const noted = (worker: Worker) => workers.push(worker);
  process.on('worker', noted);
  const held: Tensor[] = [];
  for (let i = 0; i < 10; i++) {
    using backend = await WasmBackend.create({ threads: 3 });
    await setBackend(backend);
    held.push(matmul(zeros([100, 100]), zeros([100, 100])));
    expect(backendInfo().details.threads).toBe(3);
  }
  process.off('worker', noted);
  expect(workers).toHaveLength(20);
  await Promise.all(workers.map((w) => w.threadId < 0 || once(w, 'exit')));
  expect(backendInfo().details).toMatchObject({ threads: 0, memoryBytes: 0 });
  for (const t of held) t.dispose();
});

it('lets go of the linear memory, whoever holds tensors', async () => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  const open = () => {
    const loaded = loadKernels();
    const backend = new WasmBackend({}, new Runtime({}, loaded));
    return { backend, x: backend.fill(1000, 1, 'float32'), linear: new WeakRef(loaded.memory) };
  };
  const held = Array.from({ length: 5 }, open);
  for (const { backend } of held) backend.dispose();
  await new Promise((done) => setTimeout(done));
  gc();
  expect(held.map(({ linear }) => linear.deref())).toEqual(held.map(() => undefined));
});

describe('calls of setBackend that overlap', () => {
  it('end in the order in which they were called', async () => {
    const call = fc.record({ ready: fc.nat(), fails: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 6 }), async (asked) => {
        const before = new WasmBackend();
        await setBackend(before);
        const made: Backend[] = asked.map(() => new ReferenceBackend());
        const starts: (() => void)[] = [];
        for (const [i, { fails }] of asked.entries()) {
          registerBackend(`slow ${i}`, async () => {
            await new Promise<void>((start) => {
              starts[i] = start;
            });
            if (fails) throw new Error('no device');
            return made[i]!;
          });
        }
        const settled = Promise.allSettled(asked.map((_, i) => setBackend(`slow ${i}`)));
        for (const i of asked.map((_, i) => i).sort((a, b) => asked[a]!.ready - asked[b]!.ready)) {
          starts[i]!();
          await new Promise((done) => setImmediate(done));
        }
        expect((await settled).map(({ status }) => status === 'rejected')).toEqual(
          asked.map(({ fails }) => fails),
        );
        const last = asked.findLastIndex(({ fails }) => !fails);
        expect(getBackend()).toBe(made[last] ?? before);
        expect(getBackend().memory.closed).toBe(false);
      }),
      { numRuns: 50, seed: 23 },
    );
  });

  it('take no option of an instance that it would not follow', async () => {
    const made = new ReferenceBackend();
    await expect(setBackend(made, { maxBytes: 100 })).rejects.toThrow(ValueError);
    await setBackend(made, { dtype: 'float64' });
    expect(zeros([1]).dtype).toBe('float64');
  });

  it('leave none behind that nobody has', async () => {
    const slow = new ReferenceBackend();
    registerBackend('slow', async () => slow);
    const call = setBackend('slow');
    const last = new ReferenceBackend();
    await setBackend(last);
    await call;
    expect(getBackend()).toBe(last);
    expect(slow.memory.closed).toBe(true);
    registerBackend('narrow', () => new WasmBackend());
    await expect(setBackend('narrow', { dtype: 'float64' })).rejects.toThrow(/no float64/);
  });
});

it('of a constructor has one thread, and options', () => {
  for (const threads of [3, 0, Number.NaN, 1e9, '2' as never]) {
    expect(() => new WasmBackend({ threads })).toThrow(BackendError);
  }
  expect(() => new WasmBackend(null as never)).toThrow(ValueError);
  expect(new WasmBackend({ threads: 1 }).info().details.threads).toBe(1);
});
