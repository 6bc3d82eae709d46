/** Conformance of layout, updates, and storages with their accounting. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Storage } from '../../src/backend.ts';
import { BackendError, DTypeError, OutOfMemoryError } from '../../src/errors.ts';
import { ReferenceBackend } from '../../src/reference/backend.ts';
import { WasmBackend } from '../../src/wasm/backend.ts';
import {
  absolute,
  type Computation,
  convGeometry,
  dims,
  EPSILON,
  exact,
  numbers,
  open,
  seeds,
  single,
  sweep,
  volume,
} from './harness.ts';

describe.each(single)('$label', async (row) => {
  const { backend, agrees, runs, synchronous } = await open(row);

  describe('layout', () => {
    it('permutes up to eight axes', async () => {
      const shapes = fc
        .integer({ min: 1, max: 8 })
        .chain((rank) =>
          fc.tuple(
            fc.array(rank > 5 ? dims(1, 3) : dims(1, 7), { minLength: rank, maxLength: rank }),
            fc.shuffledSubarray([...Array(rank).keys()], { minLength: rank, maxLength: rank }),
          ),
        );
      await fc.assert(
        fc.asyncProperty(shapes, async ([sizes, axes]) => {
          const data = numbers(volume(sizes), 5);
          await agrees((b, upload) => b.permute(upload(data), sizes, axes), 0);
        }),
        runs(150),
      );
      const squeeze = numbers(2 * 3 * 10 * 14, 5);
      await agrees(
        (b, upload) => b.permute(upload(squeeze), [2, 3, 5, 2, 7, 2], [0, 1, 3, 5, 2, 4]),
        0,
      );
      await agrees(
        (b, upload) => b.permute(upload(squeeze), [2, 3, 2, 2, 5, 7], [0, 1, 4, 2, 5, 3]),
        0,
      );
    });

    it('slices and joins', async () => {
      const parts = fc.array(dims(1, 6), { minLength: 1, maxLength: 5 });
      await fc.assert(
        fc.asyncProperty(
          dims(1, 5),
          parts,
          dims(1, 9),
          seeds,
          async (outer, lengths, inner, seed) => {
            const total = lengths.reduce((a, b) => a + b, 0);
            const whole = numbers(outer * total * inner, seed);
            const joined: Computation = (b, upload) =>
              b.concat(
                lengths.map((length, i) => upload(numbers(outer * length * inner, seed + i))),
                outer,
                lengths,
                inner,
              );
            await agrees(joined, 0);
            let start = 0;
            for (const length of lengths) {
              const from = start;
              await agrees(
                (b, upload) => b.slice(upload(whole), outer, total, inner, from, length),
                0,
              );
              start += length;
            }
          },
        ),
        runs(30),
      );
    });
  });

  describe('updates', () => {
    it('accumulates and assigns', async () => {
      for (const size of [1, 3, 4, 7, 64, 129]) {
        const [t, x] = [numbers(size, size), numbers(size, size + 1)];
        const accumulated: Computation = (b, upload) => {
          const target = upload(t);
          b.accumulate(target, upload(x), -0.75);
          return target;
        };
        await agrees(accumulated, 2 * EPSILON, (b, upload) =>
          b.unary('affine', upload(absolute(t)), 1, 1),
        );
        const assigned: Computation = (b, upload) => {
          const target = upload(t);
          b.assign(target, upload(x));
          return target;
        };
        await agrees(assigned, 0);
      }
    });

    it('takes Adam steps', async () => {
      const settings = {
        learningRate: 2 ** -7,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 2 ** -26,
        gradientScale: 0.5,
      };
      for (const size of [1, 5, 8, 131]) {
        for (const watched of [0, 1, 2]) {
          const steps: Computation = (b, upload) => {
            const states = [
              upload(numbers(size, 1)),
              upload(numbers(size, 2)),
              upload(numbers(size, 3).map(Math.abs)),
            ];
            const [target, m, v] = states as [Storage, Storage, Storage];
            for (let step = 1; step <= 5; step++) {
              const grad = upload(numbers(size, 10 + step));
              b.adam([{ target, m, v, grad, step }], settings);
            }
            return states[watched] as Storage;
          };
          // Five steps of a few roundings each, on numbers of about one.
          await agrees(steps, 2e-6, (b, _, dtype) => b.fill(size, 1, dtype));
        }
      }
    });
  });

  describe('storages', () => {
    it('copies in and out, exactly, at once or later', async () => {
      const x = backend.upload(sweep, 'float32');
      const copy = await backend.read(x);
      expect(copy).toEqual(sweep);
      copy.fill(3);
      expect(await backend.read(x)).toEqual(sweep);
      if (synchronous) expect(backend.readSync(x)).toEqual(sweep);
      else expect(() => backend.readSync(x)).toThrow(/use `await tensor.data\(\)`/);
      backend.free(x);
      expect(await exact([1, 2])).toEqual(Float64Array.of(1, 2));
    });

    it('counts the bytes that were asked for', async () => {
      const fresh = await row.backends[0]!.make();
      const a = fresh.upload([1, 2, 3], 'float32');
      const b = fresh.fill(1000, 1, 'float32');
      expect(fresh.memory.info().liveBytes).toBe(4012);
      const c = fresh.unary('neg', b, 0, 0);
      expect(fresh.memory.info()).toMatchObject({ liveBytes: 8012, peakBytes: 8012 });
      fresh.free(b);
      fresh.free(c);
      expect(fresh.memory.info()).toMatchObject({ liveBytes: 12, peakBytes: 8012 });
      fresh.memory.resetPeak();
      fresh.free(fresh.binary('add', a, a, { sizes: [3], aStrides: [1], bStrides: [1] }));
      expect(fresh.memory.info()).toMatchObject({ liveBytes: 12, peakBytes: 24 });
      fresh.free(a);
      expect(fresh.memory.info().liveBytes).toBe(0);
    });

    it('leaves operands as they were', async () => {
      const g = convGeometry(1, 3, 4, [1, 5, 5], [1, 3, 3], [0, 1, 1]);
      const [xs, ws, ys] = [numbers(75, 1), numbers(108, 2), numbers(100, 3)];
      const [x, w, dy] = [xs, ws, ys].map((data) => backend.upload(data, 'float32')) as [
        Storage,
        Storage,
        Storage,
      ];
      const results = [
        backend.conv(x, w, undefined, 'relu', g),
        backend.convInputGrad(dy, w, undefined, g),
        backend.convFilterGrad(x, dy, g),
      ];
      expect(await Promise.all([x, w, dy].map((s) => backend.read(s)))).toEqual([xs, ws, ys]);
      for (const storage of [x, w, dy, ...results]) backend.free(storage);
    });

    it('refuses the storages of another backend', async () => {
      const others =
        backend instanceof ReferenceBackend ? new WasmBackend() : new ReferenceBackend();
      const other = others.fill(4, 1, 'float32');
      expect(() => backend.unary('neg', other, 0, 0)).toThrow(BackendError);
    });
  });
});

describe('wasm alone', () => {
  it('says what runs', async () => {
    expect(new WasmBackend({ relaxedSimd: false }).info().details).toMatchObject({
      simd: 'simd128',
      threads: 1,
    });
  });

  it('has float32 only', async () => {
    expect(() => new WasmBackend().upload([1], 'float64')).toThrow(DTypeError);
    expect(() => new WasmBackend().upload([1], 'float64')).toThrow(/float64.*float32/);
  });

  it('refuses a storage that was freed', async () => {
    const backend = new WasmBackend();
    const x = backend.fill(4, 1, 'float32');
    backend.free(x);
    expect(() => backend.readSync(x)).toThrow(/freed/);
    expect(() => backend.free(x)).toThrow(BackendError);
  });

  it('names what it could not allocate, and goes on unharmed', async () => {
    const backend = new WasmBackend({ maxBytes: 4 << 20 });
    const x = backend.fill(1000, 2, 'float32');
    expect(() => backend.fill(2 << 20, 1, 'float32')).toThrow(OutOfMemoryError);
    expect(() => backend.fill(2 << 20, 1, 'float32')).toThrow(/8388608 bytes.*limit is 4194304/);
    expect(backend.memory.info().liveBytes).toBe(4000);
    // The result fits, its scratch does not: nothing of either stays behind.
    const rest = backend.fill(((4 << 20) - 400_000) / 4, 1, 'float32');
    const before = backend.memory.info().liveBytes;
    const g = convGeometry(1, 1, 1, [1, 1, 1000], [1, 1, 1], [0, 0, 0]);
    const big = { ...g, inputChannels: 1, outputChannels: 1 };
    backend.free(backend.conv(x, x, undefined, 'none', big));
    expect(backend.memory.info().liveBytes).toBe(before);
    backend.free(rest);
    backend.free(x);
    expect(backend.memory.info().liveBytes).toBe(0);
  });

  it('keeps its numbers when the memory grows', async () => {
    const backend = new WasmBackend();
    const data = numbers(1000, 1);
    const x = backend.upload(data, 'float32');
    const large = backend.fill(5_000_000, 3, 'float32');
    expect(backend.readSync(x)).toEqual(data);
    backend.free(large);
    backend.free(x);
  });

  it('counts scratch while it is in use, within a bound', async () => {
    const backend = new WasmBackend();
    // Winograd's method has the transformed weights as well, 16 for 9.
    for (const [kernel, bound] of [
      [3, 64 * 300 * 300 + 900_000],
      [5, 600_000],
    ] as const) {
      const half = (kernel - 1) / 2;
      const g = convGeometry(2, 300, 300, [1, 20, 20], [1, kernel, kernel], [0, half, half]);
      const x = backend.fill(g.batch * 300 * 400, 1, 'float32');
      const w = backend.fill(300 * 300 * kernel ** 2, 1, 'float32');
      const before = backend.memory.info().liveBytes;
      backend.memory.resetPeak();
      const y = backend.conv(x, w, undefined, 'none', g);
      const scratch = backend.memory.info().peakBytes - before - 4 * y.size;
      expect(scratch).toBeGreaterThan(0);
      expect(scratch).toBeLessThan(bound);
      expect(backend.memory.info().liveBytes).toBe(before + 4 * y.size);
    }
  });
});
