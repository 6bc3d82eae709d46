/**
 * What every backend must do, primitive by primitive, against `reference` in float64. A new backend
 * adds itself to a row of `rows`. Inputs are exact float32 numbers, so all differences are the backend's
 * own rounding; tolerances stand beside their reasons in the tests.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Backend, ConvGeometry, DType, Storage, Triple } from '../../src/backend.ts';
import { createGpuBackend } from '../../src/gpu/index.ts';
import { ReferenceBackend } from '../../src/reference/backend.ts';
import { WasmBackend } from '../../src/wasm/backend.ts';
import { supportsRelaxedSimd } from '../../src/wasm/kernels.ts';

/** A backend that is tested. */
interface Made {
  readonly label: string;
  readonly make: () => Backend | Promise<Backend>;
}

/** Backends that are shown the same computations: what is exact is found once for all of them. */
export interface Row {
  readonly label: string;
  readonly backends: readonly Made[];
  /**
   * A device computes to this relative error, whatever a test asks for, and promises nothing for
   * NaN, infinities and subnormals. Each new shape costs it a compilation, so it is shown fewer.
   */
  readonly deviceTolerance?: number;
}

const inBrowser = typeof window !== 'undefined';
const natives = inBrowser ? [] : (await import('../addon.ts')).nativeKernels();

const deviceTolerance = 1e-4;

/** Every backend that can run here: Node.js has Dawn and no WebGL2, a page has both. */
export const rows: readonly Row[] = [
  {
    label: 'on the CPU',
    backends: [
      { label: 'reference float32', make: () => new ReferenceBackend() },
      { label: 'wasm simd128', make: () => new WasmBackend({ relaxedSimd: false }) },
      ...(supportsRelaxedSimd()
        ? [
            { label: 'wasm relaxed-simd', make: () => new WasmBackend({ relaxedSimd: true }) },
            // Where it can be had: from then on all of them are wide. A browser has none, and runs them all narrow.
            ...(inBrowser
              ? []
              : [{ label: 'wasm, wide', make: () => new WasmBackend({ wide: true }) }]),
          ]
        : []),
      ...natives.map((native) => ({
        label: `native ${native.build}`,
        make: () => new WasmBackend({ native }),
      })),
    ],
  },
  {
    label: 'on a device',
    deviceTolerance,
    backends: [
      { label: 'gpu webgpu', make: () => createGpuBackend({ mode: 'webgpu' }) },
      inBrowser
        ? { label: 'gpu webgl2', make: () => createGpuBackend({ mode: 'webgl2' }) }
        : {
            label: 'gpu webgpu, gpu.js kernels only',
            make: () => createGpuBackend({ mode: 'webgpu', products: 'gpujs' }),
          },
    ],
  },
];

/** The rows with one backend each. */
export const single: readonly Row[] = rows.flatMap((row) =>
  row.backends.map((backend) => ({ ...row, label: backend.label, backends: [backend] })),
);

/** Half a unit in the last place of float32, relative. */
export const EPSILON = 2 ** -24;
/** Smallest subnormal of float32. */
export const TINY = 2 ** -149;

export const oracle = new ReferenceBackend();

export type Upload = (data: ArrayLike<number>) => Storage;
/** Computes one result on one backend; what it uploads and makes besides is freed by the caller. */
export type Computation = (backend: Backend, upload: Upload, dtype: DType) => Storage;

/** The backends of a row, and how they are tested. */
export async function open({ backends, deviceTolerance }: Row) {
  const opened = await Promise.all(
    backends.map(async ({ label, make }) => ({ label, backend: await make() })),
  );
  const device = deviceTolerance !== undefined;
  return {
    backend: opened[0]!.backend,
    /** Runs `compute` on the oracle and twice on each backend, and compares. */
    agrees: async (compute: Computation, relative: number, scale?: Computation) => {
      const expected = await once(oracle, 'float64', compute);
      const scales = scale ? await once(oracle, 'float64', scale) : expected;
      const allowed = Float64Array.from(
        scales,
        (size) => (deviceTolerance ?? relative) * Math.abs(size) + (device ? 1e-7 : 2 * TINY),
      );
      for (const { label, backend } of opened) {
        const first = await once(backend, 'float32', compute);
        const second = await once(backend, 'float32', compute);
        // Number by number, zeros with their signs; NaN is NaN, whatever its bits are.
        expect(second, label).toEqual(first);
        compare(label, first, expected, allowed, !device);
      }
    },
    /** Settings of a property. A fixed seed: a red run must be red again. */
    runs: (numRuns: number) => ({
      numRuns: device ? Math.ceil(numRuns / 25) : numRuns,
      seed: 20_261_124,
    }),
    /** How many cases of a list are shown. */
    size: (all: number) => (device ? Math.min(all, 3) : all),
    /** Are NaN, infinities and subnormals kept? */
    special: !device,
    synchronous: !device,
    /** The values that the backend promises anything for. */
    inRange: (values: Float32Array) =>
      device ? values.filter((v) => Math.abs(v) > 1e-4 && Math.abs(v) < 60) : values,
  };
}

export async function once(
  backend: Backend,
  dtype: DType,
  compute: Computation,
): Promise<ArrayLike<number>> {
  const made: Storage[] = [];
  const before = backend.memory.info().liveBytes;
  const upload: Upload = (data) => {
    const storage = backend.upload(data, dtype);
    made.push(storage);
    return storage;
  };
  const result = compute(backend, upload, dtype);
  const values = await backend.read(result);
  expect(values.length).toBe(result.size);
  if (!made.includes(result)) made.push(result);
  for (const storage of made) backend.free(storage);
  expect(backend.memory.info().liveBytes).toBe(before);
  return values;
}

export const exact = (data: ArrayLike<number>): Promise<ArrayLike<number>> =>
  once(oracle, 'float64', (_, upload) => upload(data));

/** Compares with the oracle; where that is beyond float32, `special` asks for the very same. */
function compare(
  label: string,
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowed: Float64Array,
  special: boolean,
): void {
  expect(found.length, label).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const want = Math.fround(expected[i]!);
    const got = found[i]!;
    if (Number.isFinite(want)) {
      if (!(Math.abs(got - expected[i]!) <= allowed[i]!)) {
        const within = `expected ${expected[i]} within ${allowed[i]}`;
        expect.fail(`${label}, entry ${i}: got ${got}, ${within}`);
      }
    } else if (special && !Object.is(got, want)) {
      expect.fail(`${label}, entry ${i}: got ${got}, expected ${want}`);
    }
  }
}

/** Reproducible float32 numbers in [−1, 1). */
export function numbers(size: number, seed: number): Float32Array {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    return mixed / 2 ** 31 - 1;
  });
}

export const absolute = (data: Float32Array): Float32Array => data.map(Math.abs);
export const volume = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
export const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
export const dims = (min: number, max: number) => fc.integer({ min, max });

export const SPECIAL = [
  ...[0, -0, 1, -1, 0.5, -0.5, 2, -2, 1.5, 0.625, -0.625, 1e-3, -1e-3, 1 - 2 ** -24, 1 + 2 ** -23],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  ...[TINY, -TINY, 1e-40, -1e-40, 2 ** -126, -(2 ** -126), 1e-20, -1e-20],
  ...[3.4028234663852886e38, -3.4028234663852886e38, 1e30, -1e30, 1e10, -1e10],
  ...[88.5, 88.72283, 88.73, 89, 100, -87.3, -87.4, -88, -90, -100, -103.9, -104, -110],
  ...[9, -9, 10, -10, 17, -17, 20, -20],
].map(Math.fround);

/** Special values, a fine grid over the range that matters, and all magnitudes. */
export const sweep = Float32Array.from([
  ...SPECIAL,
  ...Array.from({ length: 4001 }, (_, i) => (i - 2000) * 0.0525),
  ...Array.from({ length: 2001 }, (_, i) => 1 + (i - 1000) * 1e-3),
  ...Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** ((i - 300) / 2.4)),
]);

export function convGeometry(
  batch: number,
  inputChannels: number,
  outputChannels: number,
  input: Triple,
  kernel: Triple,
  padding: Triple,
  stride: Triple = [1, 1, 1],
): ConvGeometry {
  const out = (i: 0 | 1 | 2): number =>
    Math.floor((input[i] + 2 * padding[i] - kernel[i]) / stride[i]) + 1;
  return {
    batch,
    inputChannels,
    outputChannels,
    input,
    output: [out(0), out(1), out(2)],
    kernel,
    stride,
    padding,
  };
}
