/** What the gpu backend promises beyond its numbers: residency, limits, and a device that is lost. */
import { describe, expect, it, vi } from 'vitest';
import {
  BackendError,
  backendInfo,
  concat,
  DeviceLostError,
  DisposedError,
  DTypeError,
  exp,
  getBackend,
  memory,
  mul,
  OutOfMemoryError,
  ones,
  setBackend,
  slice,
  sum,
  tensor,
  tidy,
} from '../src/index.ts';
import '../src/gpu/index.ts';

const inBrowser = typeof window !== 'undefined';
const modes = inBrowser ? (['webgpu', 'webgl2'] as const) : (['webgpu'] as const);

describe.each(modes)('gpu in mode %s', (mode) => {
  // What WebGL2 does not have is no test that was left out.
  const onWebGpu = mode === 'webgpu' ? it : undefined;
  it('says what runs', async () => {
    await setBackend('gpu', { mode });
    const { name, details } = backendInfo();
    expect(name).toBe('gpu');
    expect(details.mode).toBe(mode);
    expect(String(details.adapter).length).toBeGreaterThan(3);
    expect(details.fallbackReason).toBeUndefined();
  });

  it('keeps a hundred operations on the device, and reads once', async () => {
    await setBackend('gpu', { mode });
    const y = tidy(() => {
      let y = ones([4, 5]);
      const factor = tensor([1.01]);
      for (let i = 0; i < 100; i++) y = mul(y, factor);
      return y;
    });
    expect(backendInfo().details).toMatchObject({ runs: 101, reads: 0 });
    const data = await y.data();
    expect(backendInfo().details).toMatchObject({ runs: 101, reads: 1 });
    expect(data[19]).toBeCloseTo(1.01 ** 100, 4);
    y.dispose();
    expect(memory()).toMatchObject({ liveBytes: 0, tensors: 0 });
  });

  it('computes with what an array held when it was given', async () => {
    await setBackend('gpu', { mode });
    const numbers = Float32Array.of(1, 2, 3);
    const x = tensor(numbers);
    const squares = mul(x, x);
    const later = tensor(numbers);
    numbers.fill(9);
    expect([...(await later.data())]).toEqual([1, 2, 3]);
    expect([...(await squares.data())]).toEqual([1, 4, 9]);
  });

  it('reuses freed buffers, and has no more of them than twice what was in use', async () => {
    await setBackend('gpu', { mode });
    const pooled = () => Number(backendInfo().details.pooledBytes);
    const x = ones([1000]);
    for (let i = 0; i < 20; i++) mul(x, x).dispose();
    // Of 1000 numbers, or with room for neighbours in size.
    expect(pooled()).toBeGreaterThanOrEqual(4000);
    expect(pooled()).toBeLessThanOrEqual(4096);
    for (let size = 1; size < 2000; size += 50) ones([size]).dispose();
    // The most in use were x and one of twice its size.
    expect(4096 + pooled()).toBeLessThanOrEqual(2 * 3 * 4096);
    expect(pooled()).toBeGreaterThan(8192);
    await x.data();
    x.dispose();
  });

  onWebGpu?.('hands kernels over in batches, also when nothing is read', async () => {
    await setBackend('gpu', { mode });
    const warm = mul(ones([8]), ones([8]));
    await warm.data();
    const submit = vi.spyOn(GPUQueue.prototype, 'submit');
    const many = (count: number) =>
      tidy(() => {
        let y = warm;
        for (let i = 0; i < count; i++) y = mul(y, warm);
      });
    many(10);
    expect(submit).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(submit).toHaveBeenCalledTimes(1);
    // Early enough that the device has something to do.
    many(200);
    expect(submit.mock.calls.length).toBeGreaterThan(1);
    expect(submit.mock.calls.length).toBeLessThan(20);
    submit.mockRestore();
  });

  onWebGpu?.('makes nothing anew in a step like the one before', async () => {
    await setBackend('gpu', { mode });
    const w = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    const step = () =>
      tidy(() => {
        const y = exp(mul(w, w));
        const z = concat([y, slice(y, 1, 0, 1)], 1);
        return sum(mul(z, z));
      });
    const run = async () => {
      using x = step();
      await x.data();
    };
    for (let i = 0; i < 3; i++) await run();
    const made = (['createBuffer', 'createBindGroup', 'createComputePipelineAsync'] as const).map(
      (name) => vi.spyOn(GPUDevice.prototype, name),
    );
    await run();
    expect(made.map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0]);
    for (const spy of made) spy.mockRestore();
  });

  it('names what it cannot hold, before anything runs', async () => {
    await setBackend('gpu', { mode, maxBytes: 4000 });
    const limit = Number(backendInfo().details.maxTensorBytes);
    expect(() => ones([limit / 4 + 1])).toThrow(OutOfMemoryError);
    expect(() => ones([limit / 4 + 1])).toThrow(new RegExp(`${limit + 4} bytes.*${limit}`));
    const x = ones([900]);
    expect(() => ones([200])).toThrow(/800 bytes: 3600 bytes are live, and the limit is 4000/);
    expect(backendInfo().details.runs).toBe(1);
    expect(memory()).toMatchObject({ liveBytes: 3600, tensors: 1 });
    x.dispose();
  });

  it('has float32 only, and says so when it is read at once', async () => {
    await expect(setBackend('gpu', { mode, dtype: 'float64' })).rejects.toThrow(DTypeError);
    await setBackend('gpu', { mode });
    expect(() => ones([2]).dataSync()).toThrow(/use `await tensor.data\(\)`/);
    const other = getBackend().fill(4, 1, 'float32');
    getBackend().free(other);
    expect(() => getBackend().unary('neg', other, 0, 0)).toThrow(BackendError);
  });

  it('gives back what it held when it is disposed', async () => {
    await setBackend('gpu', { mode });
    const kept = ones([3]);
    // More of them than a browser has contexts for.
    for (let i = 0; i < 20; i++) {
      await setBackend('gpu', { mode });
      const x = ones([1000]);
      mul(x, x).dispose();
      const waiting = expect(x.data()).rejects.toThrow(DisposedError);
      getBackend().dispose();
      await waiting;
      expect(backendInfo().details).toMatchObject({ pooledBytes: 0, kernels: 0 });
    }
    expect([...(await mul(kept, kept).data())]).toEqual([1, 1, 1]);
    kept.backend.dispose();
    // The device, where they had one together, went with the last of them.
    await setBackend('gpu', { mode });
    expect([...(await ones([2]).data())]).toEqual([1, 1]);
    getBackend().dispose();
  });

  it('rejects reads when the device is lost, and starts again', async () => {
    const lose = await openAndHoldLoss(mode);
    const x = ones([1000]);
    const pending = mul(x, x).data();
    const outcome = expect(pending).rejects.toThrow(DeviceLostError);
    await lose();
    await outcome;
    await expect(x.data()).rejects.toThrow(/setBackend\('gpu'\) again/);
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
    await setBackend('gpu', { mode });
    expect([...(await mul(ones([2]), ones([2])).data())]).toEqual([1, 1]);
    printed.mockRestore();
  });
});

if (!inBrowser) {
  it('says that Node.js has no WebGL2', async () => {
    await expect(setBackend('gpu', { mode: 'webgl2' })).rejects.toThrow(/no WebGL2 here/);
  });
}

/** A fresh gpu backend, and what loses its device. */
async function openAndHoldLoss(mode: 'webgpu' | 'webgl2'): Promise<() => Promise<void>> {
  if (mode === 'webgpu') {
    // In Node.js the classes are there once there was a device.
    await setBackend('gpu', { mode });
    const requestDevice = vi.spyOn(GPUAdapter.prototype, 'requestDevice');
    await setBackend('gpu', { mode });
    const device = await requestDevice.mock.results[0]!.value;
    requestDevice.mockRestore();
    return async () => device.destroy();
  }
  const getContext = vi.spyOn(HTMLCanvasElement.prototype, 'getContext');
  await setBackend('gpu', { mode });
  const contexts = getContext.mock.results.map((r) => r.value as WebGL2RenderingContext);
  getContext.mockRestore();
  return async () => {
    contexts[0]!.getExtension('WEBGL_lose_context')!.loseContext();
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
}
