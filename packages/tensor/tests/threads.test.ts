/** The wasm backend on several threads: the same bits, the same memory, and an end. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  abs,
  adamUpdate,
  add,
  addToFirstChannels,
  BackendError,
  backendInfo,
  clone,
  concat,
  conv,
  convFilterGrad,
  convInputGrad,
  exp,
  fusedChannelAffine,
  fusedCoupling,
  fusedSpline,
  leapfrog,
  matmul,
  max,
  memory,
  mul,
  permute,
  RandomStream,
  setBackend,
  sigmoid,
  slice,
  sum,
  sumPerChannel,
  sumPerSample,
  type Tensor,
  WasmBackend,
  zeros,
} from '../src/index.ts';
import { loadKernels } from '../src/wasm/kernels.ts';
import { ThreadPool } from '../src/wasm/threads.ts';
import { nativeKernels } from './addon.ts';

const pools = await Promise.all(
  [undefined, ...nativeKernels()].flatMap((native) =>
    [1, 2, 3].map((threads) => WasmBackend.create({ threads, ...(native && { native }) })),
  ),
);

/** Results are the same, bit for bit, on one, two and three threads, in WebAssembly and in native code. */
async function sameOnEach(compute: (random: RandomStream) => Tensor[]): Promise<void> {
  const all: Buffer[][] = [];
  for (const backend of pools) {
    await setBackend(backend);
    const before = memory().liveBytes;
    const results = compute(new RandomStream(5));
    all.push(results.map(bits));
    for (const t of results) t.dispose();
    expect(memory().liveBytes).toBe(before);
  }
  for (const other of all) expectSame(other, all[0]!);
}

const bits = (t: Tensor) => Buffer.from(t.dataSync().buffer);

/** Compared as bits, which takes a thousandth of the time of numbers. */
function expectSame(results: readonly Buffer[], expected: readonly Buffer[]) {
  expect(results.map((numbers, i) => numbers.equals(expected[i]!))).toEqual(
    expected.map(() => true),
  );
}

const between = (min: number, max: number) => fc.integer({ min, max });

describe('results on several threads', () => {
  it('are the same bit for bit: Adam, also where a tensor is updated twice in one call', async () => {
    const settings = {
      learningRate: 0.01,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      gradientScale: 1,
    };
    await sameOnEach((random) => {
      const state = () => random.normal([90_001]);
      const [target, m, grad] = [state(), state(), state()];
      const v = abs(target);
      const [other, m2, v2] = [state(), state(), abs(m)];
      adamUpdate(
        [
          { target, m, v, grad, step: 1 },
          { target: other, m: m2, v: v2, grad, step: 1 },
          { target, m, v, grad, step: 2 },
        ],
        settings,
      );
      return [target, m, v, other, m2, v2, grad];
    });
  });

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
        await sameOnEach((random) => {
          const options = { stride, padding: (kernel - 1) / 2 };
          using x = random.normal([batch, channels, ...size]);
          using w = random.normal([outputs, channels, kernel, kernel]);
          using bias = random.normal([outputs]);
          const y = conv(x, w, { ...options, bias, activation: 'relu' });
          using dy = random.normal(y.shape);
          const dx = convInputGrad(dy, w, x.shape, options);
          return [y, dx, convFilterGrad(x, dy, w.shape, options)];
        });
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it('are the same bit for bit: products and element-wise operations', async () => {
    await sameOnEach((random) => {
      using a = random.normal([200, 190]);
      using b = random.normal([190, 170]);
      using t = random.normal([170, 190]);
      using x = random.normal([50_001]);
      using y = random.normal([50_001]);
      using s = random.normal([1]);
      return [matmul(a, b), matmul(a, t, { transposeB: true }), add(x, y), mul(x, s)];
    });
  });

  it('are the same bit for bit: functions, reductions and layouts, of sizes that fit no cut', async () => {
    const shape = fc.record({
      batch: between(1, 7),
      channels: between(1, 9),
      size: fc.tuple(between(31, 67), between(61, 97)),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ batch, channels, size }) => {
        await sameOnEach((random) => {
          using x = random.normal([batch, channels, ...size]);
          using y = random.normal([batch, channels, ...size]);
          using perChannel = random.normal([1, channels, 1, 1]);
          using perSample = random.normal([batch, 1, 1, 1]);
          return [
            ...[exp(x), sigmoid(x), abs(x), add(x, y)],
            ...[mul(x, perChannel), mul(perSample, x)],
            ...[sum(x), sumPerChannel(x), sumPerSample(x), sum(x, { axes: [0] })],
            ...[max(x, { axes: [0, 1] }), sum(x, { axes: [1, 2] })],
            ...[permute(x, [0, 2, 3, 1]), permute(x, [3, 1, 2, 0])],
            ...[concat([x, y], 1), concat([x, y], 0), slice(x, 2, 3, 20)],
          ];
        });
      }),
      { numRuns: 15, seed: 4 },
    );
  });

  it('are the same bit for bit: waves, parted by fields and by rows', async () => {
    // Points in the first and the last part, and on rows between two.
    const points = [
      [0, 0],
      [66.5, 100],
      [67, 3],
      [149, 249],
    ] as const;
    for (const shots of [1, 4]) {
      await sameOnEach((random) => {
        using gain = random.uniform([1, 160, 260], 0.1, 0.15);
        using decay = random.uniform([1, 160, 260], 0.9, 1);
        using series = random.normal([1, shots, 12, 4]);
        using potential = random.normal([1, 150, 250]);
        const [keep, sum] = [zeros([1, shots, 11, 150, 250]), zeros([1, shots, 150, 250])];
        const heard = zeros([1, shots, 12, 4]);
        const run = {
          gain,
          decay,
          fields: [1, shots],
          border: 5,
          spacing: [1, 1],
          steps: 12,
        } as const;
        const record = { points, series: heard };
        leapfrog({ ...run, inject: { points, series }, record, keep });
        const first = clone(heard);
        const scatter = { potential, field: keep };
        leapfrog({ ...run, reverse: true, scatter, record, image: { sum, field: keep } });
        return [first, heard, keep, sum];
      });
    }
  });

  it('come from further kernels that are brought while jobs still write to what was freed', async () => {
    const least = { minWidth: 0.01, minHeight: 0.01, minSlope: 0.01, softClamp: undefined };
    const form = { bins: 2, parameters: 5, low: -1, high: 2, ...least, tails: 'identity' } as const;
    const found: Buffer[] = [];
    for (const threads of [1, 2, 2, 2, 2]) {
      const backend = await WasmBackend.create({ threads });
      await setBackend(backend);
      const random = new RandomStream(1);
      using a = random.normal([500, 500]);
      using v = random.normal([5000]);
      using p = random.normal([1, 5, 4099]);
      using x = random.normal([1, 1, 4099]);
      // Behind long jobs, one whose result has the size of a module, is free, and not yet written.
      for (let i = 0; i < 3; i++) matmul(a, a).dispose();
      exp(v).dispose();
      const { y, logdet } = fusedSpline(p, form, 'forward')!.apply(x);
      found.push(bits(y), bits(logdet));
      backend.dispose();
    }
    expectSame(found.slice(2), Array.from({ length: 4 }, () => found.slice(0, 2)).flat());
  });

  it('are the same bit for bit: splines, whose kernels come behind those of wave fields', async () => {
    const tails = ['identity', 'linear', 'circular'] as const;
    for (const [i, shape] of [
      [301, 2],
      [3, 2, 23, 31],
      [1, 1, 4099],
    ].entries()) {
      await sameOnEach((random) => {
        const softClamp = i === 1 ? 6 : undefined;
        const least = { minWidth: 0.01, minHeight: 0.01, minSlope: 0.01, softClamp };
        const form = { bins: 4, low: -1, high: 2, ...least, tails: tails[i]! };
        // Tails leave open 3, 5 or 4 slopes.
        const count = { identity: 11, linear: 13, circular: 12 }[form.tails];
        const [n, channels, ...size] = shape;
        using p = random.normal([n!, count * channels!, ...size]);
        using x = random.normal(shape);
        using dy = random.normal(shape);
        using dl = random.normal([n!]);
        return (['forward', 'inverse'] as const).flatMap((direction) => {
          const map = fusedSpline(p, { ...form, parameters: count }, direction)!;
          return [
            ...Object.values(map.apply(x)),
            ...Object.values(map.backward(x, dy, dl)),
            ...Object.values(map.backward(x, dy, undefined)),
          ];
        });
      });
    }
  });

  it('are the same bit for bit: layers in one pass, and updates', async () => {
    const shape = fc.record({
      batch: between(1, 6),
      channels: between(1, 5),
      size: fc.tuple(between(31, 67), between(61, 97)),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ batch, channels, size }) => {
        await sameOnEach((random) => {
          using x = random.normal([batch, channels, ...size]);
          using dy = random.normal([batch, channels, ...size]);
          using rt = random.normal([batch, 2 * channels, ...size]);
          using dl = random.normal([batch]);
          using scale = random.uniform([channels], 0.5, 2);
          using shift = random.normal([channels]);
          const results: Tensor[] = [];
          // Behind channels that stay, and in one sample that threads have to cut.
          const joined = random.normal([1, 5, x.size]);
          using moved = random.normal([1, 6, x.size]);
          const behind = fusedCoupling(moved, { low: 0.5, high: 1.5 }, 'forward', 2)!;
          results.push(
            ...Object.values(behind.apply(joined)),
            ...Object.values(behind.backward(joined, joined, undefined)),
          );
          for (const target of [joined, clone(x)]) {
            using first = slice(target, 1, 0, 1);
            addToFirstChannels(target, first);
            results.push(target);
          }
          for (const direction of ['forward', 'inverse'] as const) {
            const coupling = fusedCoupling(rt, { low: 0.5, high: 1.5 }, direction)!;
            const channelAffine = fusedChannelAffine(scale, shift, direction)!;
            results.push(
              ...Object.values(coupling.apply(x)),
              ...Object.values(coupling.backward(x, dy, dl)),
              ...Object.values(channelAffine.apply(x)),
              ...Object.values(channelAffine.backward(x, dy, dl)),
            );
          }
          const targets = [7, 5000, 1, 4001].map((n) => random.normal([n]));
          const m = targets.map((t) => random.normal(t.shape));
          const v = targets.map((t) => random.uniform(t.shape));
          const settings = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 };
          adamUpdate(
            targets.map((target, i) => ({ target, m: m[i]!, v: v[i]!, grad: target, step: i + 1 })),
            { ...settings, gradientScale: 1 },
          );
          return [...results, ...targets, ...m, ...v];
        });
      }),
      { numRuns: 12, seed: 5 },
    );
  });

  it("are the same bit for bit: Winograd's method and products of few columns", async () => {
    await sameOnEach((random) => {
      const results: Tensor[] = [];
      for (const [batch, channels, height, width] of [
        [1, 64, 32, 32],
        [3, 25, 15, 14],
      ] as const) {
        using x = random.normal([batch, channels, height, width]);
        using w = random.normal([channels, channels, 3, 3]);
        using w1 = random.normal([channels, channels, 1, 1]);
        const y = conv(x, w, { padding: 1, activation: 'relu' });
        results.push(y, convInputGrad(y, w, x.shape, { padding: 1 }));
        results.push(convFilterGrad(x, y, w1.shape));
      }
      return results;
    });
  });
});

describe('threads', () => {
  it('leave a caller alone whose cores are busy', async () => {
    // Spinning beside them are as many processes as there could be cores.
    const busy = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
    );
    try {
      await sameOnEach((random) => {
        using a = random.normal([128, 128]);
        const results: Tensor[] = [];
        for (let i = 0; i < 300; i++) {
          using c = matmul(a, a);
          if (i % 100 === 0) results.push(mul(c, a));
        }
        return results;
      });
    } finally {
      for (const child of busy) child.kill();
    }
  });

  it('run what was called in order, however much of it there is', async () => {
    // More calls than the queue and the desk hold, each of which needs the one before.
    await sameOnEach((random) => {
      let x = random.normal([40, 1, 30]);
      using row = random.normal([1, 50, 1]);
      const last: Tensor[] = [];
      for (let i = 0; i < 400; i++) {
        using wide = mul(x, row);
        using scaled = sigmoid(wide);
        const next = sum(scaled, { axes: [1], keepDims: true });
        x.dispose();
        x = next;
        if (i % 100 === 0) last.push(slice(x, 0, 3, 5));
      }
      return [...last, x];
    });
  });

  it('say that a kernel has failed, at the latest when numbers are read, and for good', async () => {
    const { module, memory } = loadKernels(undefined, true);
    const { kernels } = loadKernels(undefined, true);
    const pool = await ThreadPool.start({ module, memory }, 2, 0);
    const outside = 2 ** 32 - 4096;
    const parts = [
      [outside, 64, 1],
      [outside, 64, 1],
    ];
    // A call may know of it already, or have been taken before anything ran.
    expect(() => {
      for (let i = 0; i < 100; i++) pool.run('fill', parts, kernels);
      pool.join();
    }).toThrow(/a kernel has failed/);
    expect(() => pool.run('fill', [[0, 0, 1]], kernels)).toThrow(/a kernel has failed/);
    expect(() => pool.join()).toThrow(/a kernel has failed/);
    pool.terminate();
  });

  it('are reported, and a bad number of them is refused', async () => {
    await setBackend('wasm', { threads: 2 });
    expect(backendInfo().details.threads).toBe(2);
    await setBackend('wasm');
    expect(backendInfo().details.threads).toBe(1);
    for (const threads of [0, 1.5, -1]) {
      await expect(setBackend('wasm', { threads })).rejects.toThrow(BackendError);
    }
  });

  it('are refused by name where a process may have none', () => {
    const source = new URL('../src/index.ts', import.meta.url).href;
    const program = `
      const { setBackend } = await import(${JSON.stringify(source)});
      await setBackend('wasm', { threads: 2 }).catch((error) => console.log(String(error)));`;
    const flags = ['--permission', '--allow-fs-read=*', '--input-type=module-typescript'];
    const run = spawnSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8' });
    expect(run.stdout).toMatch(/^BackendError: wasm: no thread can start: /);
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

describe('a thread that ends', () => {
  /** Workers in the order in which they were started. */
  const workers: Worker[] = [];
  const noted = (worker: Worker) => workers.push(worker);

  beforeEach(() => {
    workers.length = 0;
    process.on('worker', noted);
  });
  afterEach(() => {
    process.off('worker', noted);
  });

  /** A pool whose worker runs `stubs`, and a wait for it to be in the midst of one. */
  async function stubbed() {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 65536, shared: true });
    const pool = await ThreadPool.start({ module: new WebAssembly.Module(stubs), memory }, 2, 0);
    const words = new Int32Array(memory.buffer);
    const begun = () => {
      while (Atomics.load(words, 256) === 0);
    };
    return { pool, begun };
  }

  it('in the midst of its work is an error for who waits, and for good', async () => {
    const { pool, begun } = await stubbed();
    const fill = () => {
      begun();
      void workers[0]!.terminate();
    };
    pool.run('fill', [[], []], { fill });
    expect(() => pool.join()).toThrow(BackendError);
    expect(() => pool.join()).toThrow(/a thread has ended in the midst of its work/);
    expect(() => pool.run('fill', [[]], { fill })).toThrow(/a thread has ended/);
  });

  it('is none that takes long', async () => {
    const { pool, begun } = await stubbed();
    pool.run('accumulate', [[], []], { accumulate: begun });
    pool.join();
    expect(pool.running).toBe(2);
    pool.terminate();
  });

  it('between its parts is missed by nobody', async () => {
    const backend = await WasmBackend.create({ threads: 3 });
    await setBackend(backend);
    const random = new RandomStream(5);
    const [a, b] = [random.normal([200, 190]), random.normal([190, 170])];
    const x = random.normal([4, 64, 32, 32]);
    const w = random.normal([64, 64, 3, 3]);
    const compute = () => [matmul(a, b), conv(x, w, { padding: 1 }), exp(x)].map(bits);
    const expected = compute();
    for (const left of [2, 1]) {
      await workers.pop()!.terminate();
      expect(backendInfo().details.threads).toBe(left);
      expectSame(compute(), expected);
    }
  });

  it('whenever it does, leaves right numbers or an error', async () => {
    for (let calls = 0; calls < 8; calls++) {
      await setBackend('wasm', { threads: 3 });
      const a = new RandomStream(calls).normal([300, 300]);
      const expected = bits(matmul(a, a));
      try {
        const results = Array.from({ length: 8 }, (_, i) => {
          if (i === calls) void workers.at(-1)!.terminate();
          return matmul(a, a);
        });
        for (const t of results) expectSame([bits(t)], [expected]);
      } catch (error) {
        expect(error).toBeInstanceOf(BackendError);
        expect(() => a.dataSync()).toThrow(BackendError);
      }
    }
  });
});

/**
 * Kernels that set the word at 1024, and then: `fill` never returns, `accumulate` sleeps for a quarter
 * of a second.
 */
const stubs = Uint8Array.from(
  `00 61 73 6d 01 00 00 00
   01 04 01 60 00 00
   02 12 01 03 65 6e 76 06 6d 65 6d 6f 72 79 02 03 10 80 80 04
   03 04 03 00 00 00
   07 24 03
     0c 75 73 65 53 63 72 61 74 63 68 41 74 00 00
     04 66 69 6c 6c 00 01
     0a 61 63 63 75 6d 75 6c 61 74 65 00 02
   0a 31 03
     02 00 0b
     10 00 41 00 41 01 fe 17 02 80 08 03 40 0c 00 0b 0b
     1b 00 41 00 41 01 fe 17 02 80 08 41 00 41 00 42 80 e5 9a f7 00 fe 01 02 84 08 1a 0b`
    .split(/\s+/)
    .map((byte) => Number.parseInt(byte, 16)),
);
