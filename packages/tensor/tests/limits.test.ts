/** More memory than there is: nothing is computed, no other tensor changes, and the account stays right. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  add,
  type Backend,
  BackendError,
  concat,
  conv,
  convInputGrad,
  matmul,
  memory,
  OutOfMemoryError,
  RandomStream,
  ReferenceBackend,
  setBackend,
  type Tensor,
  ValueError,
  WasmBackend,
  zeros,
} from '../src/index.ts';
import { Runtime } from '../src/wasm/runtime.ts';
import { nativeKernels } from './addon.ts';

const backends: Record<string, () => Backend | Promise<Backend>> = {
  reference: () => new ReferenceBackend(),
  'reference, limited': () => new ReferenceBackend({ maxBytes: 8 << 20 }),
  wasm: () => new WasmBackend(),
  'wasm, limited': () => new WasmBackend({ maxBytes: 8 << 20 }),
  'wasm, on two threads': () => WasmBackend.create({ threads: 2 }),
};

/** Powers of two up to `most`, and their neighbours. */
const size = (most: number) =>
  fc
    .tuple(fc.integer({ min: 0, max: most }), fc.constantFrom(0, 0, 0, -1, 15))
    .map(([exponent, more]) => Math.max(1, 2 ** exponent + more));

describe.each(Object.entries(backends))('%s', (_, make) => {
  /** Fifty tensors with numbers, which must be as they were after each of the calls. */
  async function besideOthers(calls: (held: (t: Tensor) => Tensor) => Promise<void> | void) {
    const backend = await make();
    await setBackend(backend);
    const random = new RandomStream(3);
    const others = Array.from({ length: 50 }, (_, i) => random.normal([1 + 17 * i]));
    const numbers = others.map((t) => t.dataSync());
    const held: Tensor[] = [];
    await calls((t) => {
      held.push(t);
      return t;
    });
    for (const [i, t] of others.entries()) expect(t.dataSync()).toEqual(numbers[i]);
    for (const t of [...others, ...held]) t.dispose();
    expect(memory()).toMatchObject({ liveBytes: 0, tensors: 0 });
  }

  it('refuses what shapes and broadcasts blow up', () =>
    besideOthers((held) => {
      const [column, row] = [held(zeros([2 ** 18, 1])), held(zeros([1, 2 ** 18]))];
      const [one, image] = [held(zeros([1, 1])), held(zeros([1, 1, 1, 1]))];
      const before = memory();
      for (const call of [
        () => add(column, row),
        () => matmul(column, row),
        () => conv(held(column.reshape([1, 1, 2 ** 18])), held(row.reshape([2 ** 18, 1, 1]))),
        () => conv(image, image, { padding: 2 ** 20 }),
        () => convInputGrad(image, image, [1, 1, 2 ** 18, 2 ** 18], { stride: 2 ** 18 }),
        () => concat(new Array<Tensor>(2 ** 15).fill(row), 0),
        () => zeros([2 ** 36]),
        () => zeros([2 ** 30, 2 ** 30]),
        () => zeros([2 ** 50, 2 ** 50]),
        () => add(one, zeros([2 ** 52])),
      ]) {
        expect(call).toThrow(OutOfMemoryError);
        expect(memory()).toMatchObject({
          liveBytes: before.liveBytes,
          peakBytes: before.peakBytes,
        });
      }
    }));

  it('refuses every size over its limit, and takes every one below', () =>
    besideOthers((held) => {
      const place = held(zeros([1]));
      const { maxTensorBytes } = place.backend;
      fc.assert(
        fc.property(fc.array(size(30), { minLength: 1, maxLength: 2 }), (shape) => {
          const bytes = 4 * shape.reduce((product, s) => product * s, 1);
          // Nothing is so large that it would take the machine's memory to see it fit.
          fc.pre(bytes > maxTensorBytes || bytes <= 1 << 20);
          const before = memory();
          if (bytes > maxTensorBytes) expect(() => zeros(shape)).toThrow(OutOfMemoryError);
          else zeros(shape).dispose();
          expect({ ...memory(), peakBytes: before.peakBytes }).toEqual(before);
        }),
        { numRuns: 100, seed: 14 },
      );
    }));

  it('refuses what is no size', async () => {
    const backend = await make();
    for (const size of [Number.NaN, -1, 0.3, -(2 ** 40)]) {
      expect(() => backend.fill(size, 1, 'float32')).toThrow(ValueError);
    }
    expect(backend.memory.info()).toEqual({ liveBytes: 0, peakBytes: 0, tensors: 0 });
  });
});

it('gives scratch to all threads or to none', async () => {
  const runtime = await Runtime.create({ threads: 3, maxBytes: 4 << 20 });
  const use = vi.fn();
  // Fits twice, not three times. Asked for again, it is not taken for there.
  for (let i = 0; i < 2; i++) {
    expect(() => runtime.inScratch(0, use, { own: 1_400_000, users: 3 })).toThrow(OutOfMemoryError);
  }
  expect(use).not.toHaveBeenCalled();
  runtime.inScratch(0, use, { own: 1_000_000, users: 3 });
  expect(use).toHaveBeenCalledOnce();
  expect(runtime.memory.info()).toEqual({ liveBytes: 0, peakBytes: 3_000_000, tensors: 0 });
});

it('says so where the engine has no memory for another backend', async () => {
  const spy = vi.spyOn(WebAssembly, 'Memory').mockImplementation(function none() {
    throw new RangeError('WebAssembly.Memory(): could not allocate memory');
  });
  try {
    expect(() => new WasmBackend()).toThrow(BackendError);
    await expect(setBackend('wasm', { threads: 2 })).rejects.toThrow(
      /no memory for another backend/,
    );
  } finally {
    spy.mockRestore();
  }
});

describe.each([
  { label: 'wasm', options: {} },
  ...nativeKernels().map((native) => ({ label: `native ${native.build}`, options: { native } })),
])('at the end of the memory of $label', ({ options }) => {
  it('a convolution reads nothing beyond its image, however wide the padding is', () => {
    const backend = new WasmBackend({ ...options, maxBytes: 1 << 20 });
    const image = 24 * 8 * 8;
    // All that there is room for, and then the image in the last of it.
    let most = 0;
    for (let step = 2 ** 18; step >= 16; step /= 2) {
      try {
        backend.free(backend.fill(most + step, 0, 'float32'));
        most += step;
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
      }
    }
    const before = backend.fill(most - image - 16, 0, 'float32');
    const x = backend.fill(image, 1, 'float32');
    backend.free(before);
    const w = backend.fill(24 * 24 * 9, 1, 'float32');
    const y = backend.conv(x, w, undefined, 'none', {
      batch: 1,
      inputChannels: 24,
      outputChannels: 24,
      input: [1, 8, 8],
      output: [1, 8, 126],
      kernel: [1, 3, 3],
      stride: [1, 1, 1],
      padding: [0, 1, 60],
    });
    const sum = backend.readSync(y).reduce((total, value) => total + value, 0);
    expect(sum).toBe(24 * 24 * (8 * 8 * 9 - 2 * 8 * 3));
    backend.dispose();
  });
});
