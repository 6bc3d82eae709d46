/** The wasm backend on several threads: the same bits, the same memory, and an end. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  BackendError,
  backendInfo,
  conv,
  convFilterGrad,
  convInputGrad,
  matmul,
  memory,
  mul,
  RandomStream,
  setBackend,
  type Tensor,
  WasmBackend,
} from '../src/index.ts';

const pools = await Promise.all([1, 2, 3].map((threads) => WasmBackend.create({ threads })));

/** Results on one, two and three threads. */
async function onEach(compute: (random: RandomStream) => Tensor[]): Promise<Float32Array[][]> {
  const all: Float32Array[][] = [];
  for (const backend of pools) {
    await setBackend(backend);
    const before = memory().liveBytes;
    const results = compute(new RandomStream(5));
    all.push(results.map((t) => t.dataSync() as Float32Array));
    for (const t of results) t.dispose();
    expect(memory().liveBytes).toBe(before);
  }
  return all;
}

const between = (min: number, max: number) => fc.integer({ min, max });

describe('results on several threads', () => {
  it('are the same bit for bit: convolutions and their gradients', async () => {
    const shape = fc.record({
      batch: between(1, 5),
      channels: fc.constantFrom(3, 17, 64),
      outputs: fc.constantFrom(5, 16, 33),
      size: fc.tuple(between(5, 14), between(9, 40)),
      kernel: fc.constantFrom(1, 3),
      stride: between(1, 2),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ batch, channels, outputs, size, kernel, stride }) => {
        const [one, ...others] = await onEach((random) => {
          const options = { stride, padding: (kernel - 1) / 2 };
          using x = random.normal([batch, channels, ...size]);
          using w = random.normal([outputs, channels, kernel, kernel]);
          using bias = random.normal([outputs]);
          const y = conv(x, w, { ...options, bias, activation: 'relu' });
          using dy = random.normal(y.shape);
          const dx = convInputGrad(dy, w, x.shape, options);
          return [y, dx, convFilterGrad(x, dy, w.shape, options)];
        });
        for (const other of others) expect(other).toEqual(one);
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it('are the same bit for bit: products and element-wise operations', async () => {
    const [one, ...others] = await onEach((random) => {
      using a = random.normal([200, 190]);
      using b = random.normal([190, 170]);
      using t = random.normal([170, 190]);
      using x = random.normal([50_001]);
      using y = random.normal([50_001]);
      using s = random.normal([1]);
      return [matmul(a, b), matmul(a, t, { transposeB: true }), add(x, y), mul(x, s)];
    });
    for (const other of others) expect(other).toEqual(one);
  });
});

describe('threads', () => {
  it('are reported, and a bad number of them is refused', async () => {
    await setBackend('wasm', { threads: 2 });
    expect(backendInfo().details.threads).toBe(2);
    await setBackend('wasm');
    expect(backendInfo().details.threads).toBe(1);
    for (const threads of [0, 1.5, -1]) {
      await expect(setBackend('wasm', { threads })).rejects.toThrow(BackendError);
    }
  });

  it('do not keep a process alive', () => {
    const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url));
    const program = `
      import { setBackend, RandomStream, matmul } from ${JSON.stringify(entry)};
      await setBackend('wasm', { threads: 2 });
      const a = new RandomStream(1).normal([128, 128]);
      console.log(matmul(a, a).shape.join(' × '));
    `;
    const run = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(run.stderr).toBe('');
    expect(run.stdout).toBe('128 × 128\n');
    expect(run.status).toBe(0);
  });
});
