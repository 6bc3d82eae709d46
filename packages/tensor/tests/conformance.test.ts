/**
 * What every backend must do, primitive by primitive, against `reference` in float64. A new backend
 * adds a row to `backends`. Inputs are exact float32 numbers, so all differences are the backend's
 * own rounding; tolerances stand beside their reasons.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {
  Backend,
  BinaryOp,
  Broadcast,
  ConvGeometry,
  DType,
  MatmulGeometry,
  ReduceOp,
  Storage,
  Triple,
  UnaryOp,
} from '../src/backend.ts';
import { BackendError, DTypeError, OutOfMemoryError } from '../src/errors.ts';
import { ReferenceBackend } from '../src/reference/backend.ts';
import { WasmBackend } from '../src/wasm/backend.ts';
import { supportsRelaxedSimd } from '../src/wasm/kernels.ts';

interface Row {
  readonly label: string;
  readonly make: () => Backend;
}

const backends: Row[] = [
  { label: 'reference float32', make: () => new ReferenceBackend() },
  { label: 'wasm simd128', make: () => new WasmBackend({ relaxedSimd: false }) },
];
if (supportsRelaxedSimd()) {
  backends.push({ label: 'wasm relaxed-simd', make: () => new WasmBackend({ relaxedSimd: true }) });
}

/** Half a unit in the last place of float32, relative. */
const EPSILON = 2 ** -24;
/** Smallest subnormal of float32. */
const TINY = 2 ** -149;
// A fixed seed: a red run must be red again.
const RUNS = { numRuns: 60, seed: 20_261_124 };

const oracle = new ReferenceBackend();

type Upload = (data: ArrayLike<number>) => Storage;
/** Computes one result on one backend; what it uploads and makes besides is freed by the caller. */
type Computation = (backend: Backend, upload: Upload, dtype: DType) => Storage;

function once(backend: Backend, dtype: DType, compute: Computation): ArrayLike<number> {
  const made: Storage[] = [];
  const before = backend.memory.info().liveBytes;
  const upload: Upload = (data) => {
    const storage = backend.upload(data, dtype);
    made.push(storage);
    return storage;
  };
  const result = compute(backend, upload, dtype);
  const values = backend.readSync(result);
  expect(values.length).toBe(result.size);
  if (!made.includes(result)) made.push(result);
  for (const storage of made) backend.free(storage);
  expect(backend.memory.info().liveBytes).toBe(before);
  return values;
}

const exact = (data: ArrayLike<number>): ArrayLike<number> =>
  once(oracle, 'float64', (_, upload) => upload(data));

/**
 * Runs a computation on the oracle and twice on the backend: the two must agree bit by bit, and
 * with the oracle to `relative` of `scale` (of the result itself, unless told).
 */
function agrees(
  backend: Backend,
  compute: Computation,
  relative: number,
  scale?: Computation,
): void {
  const expected = once(oracle, 'float64', compute);
  const scales = scale === undefined ? expected : once(oracle, 'float64', scale);
  const first = once(backend, 'float32', compute) as Float32Array;
  const second = once(backend, 'float32', compute) as Float32Array;
  expect(new Int32Array(second.buffer)).toEqual(new Int32Array(first.buffer));
  expect(first.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const want = Math.fround(expected[i]!);
    const got = first[i]!;
    if (Number.isFinite(want)) {
      const allowed = relative * Math.abs(scales[i]!) + 2 * TINY;
      if (!(Math.abs(got - expected[i]!) <= allowed)) {
        expect.fail(`entry ${i}: got ${got}, expected ${expected[i]} within ${allowed}`);
      }
    } else if (!Object.is(got, want)) {
      expect.fail(`entry ${i}: got ${got}, expected ${want}`);
    }
  }
}

/** Reproducible float32 numbers in [−1, 1). */
function numbers(size: number, seed: number): Float32Array {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    return mixed / 2 ** 31 - 1;
  });
}

const absolute = (data: Float32Array): Float32Array => data.map(Math.abs);
const volume = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const dims = (min: number, max: number) => fc.integer({ min, max });

const SPECIAL = [
  ...[0, -0, 1, -1, 0.5, -0.5, 2, -2, 1.5, 0.625, -0.625, 1e-3, -1e-3, 1 - 2 ** -24, 1 + 2 ** -23],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  ...[TINY, -TINY, 1e-40, -1e-40, 2 ** -126, -(2 ** -126), 1e-20, -1e-20],
  ...[3.4028234663852886e38, -3.4028234663852886e38, 1e30, -1e30, 1e10, -1e10],
  ...[88.5, 88.72283, 88.73, 89, 100, -87.3, -87.4, -88, -90, -100, -103.9, -104, -110],
  ...[9, -9, 10, -10, 17, -17, 20, -20],
].map(Math.fround);

/** Special values, a fine grid over the range that matters, and all magnitudes. */
const sweep = Float32Array.from([
  ...SPECIAL,
  ...Array.from({ length: 4001 }, (_, i) => (i - 2000) * 0.0525),
  ...Array.from({ length: 2001 }, (_, i) => 1 + (i - 1000) * 1e-3),
  ...Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** ((i - 300) / 2.4)),
]);

interface UnaryCase {
  readonly op: UnaryOp;
  readonly alpha?: number;
  readonly beta?: number;
  /** Relative tolerance in half units of the last place; 1 is correct rounding. */
  readonly halfUlps: number;
}

const unaryCases: UnaryCase[] = [
  { op: 'abs', halfUlps: 0 },
  // Two roundings, of which the first may be magnified; `scale` below takes care of that.
  { op: 'affine', alpha: 1.5, beta: -0.75, halfUlps: 2.1 },
  { op: 'exp', halfUlps: 4 },
  { op: 'leakyRelu', alpha: 0.125, halfUlps: 1 },
  { op: 'log', halfUlps: 4 },
  { op: 'neg', halfUlps: 0 },
  { op: 'power', alpha: 2.5, halfUlps: 1.1 },
  { op: 'power', alpha: -1, halfUlps: 1.1 },
  { op: 'power', alpha: 3, halfUlps: 1.1 },
  { op: 'reciprocal', halfUlps: 1 },
  { op: 'relu', halfUlps: 0 },
  { op: 'sigmoid', halfUlps: 8 },
  { op: 'sign', halfUlps: 0 },
  { op: 'softplus', halfUlps: 8 },
  { op: 'sqrt', halfUlps: 1 },
  { op: 'square', halfUlps: 1 },
  { op: 'tanh', halfUlps: 8 },
];

const binaryOps: BinaryOp[] = [
  'add',
  'div',
  'max',
  'min',
  'mul',
  'reluGrad',
  'sigmoidGrad',
  'sub',
  'tanhGrad',
];

/** Drops dimensions of size 1 and merges neighbours, as the operations above a backend do. */
function collapsed(how: Broadcast): Broadcast {
  const sizes: number[] = [];
  const aStrides: number[] = [];
  const bStrides: number[] = [];
  for (let i = 0; i < how.sizes.length; i++) {
    const [size, a, b] = [how.sizes[i]!, how.aStrides[i]!, how.bStrides[i]!];
    const last = sizes.length - 1;
    if (size === 1) continue;
    if (last >= 0 && aStrides[last] === a * size && bStrides[last] === b * size) {
      sizes[last]! *= size;
      aStrides[last] = a;
      bStrides[last] = b;
    } else {
      sizes.push(size);
      aStrides.push(a);
      bStrides.push(b);
    }
  }
  return sizes.length > 0
    ? { sizes, aStrides, bStrides }
    : { sizes: [1], aStrides: [0], bStrides: [0] };
}

/** Strides of an operand that is stored without the dimensions that it is broadcast along. */
function stridesOf(
  sizes: readonly number[],
  has: readonly boolean[],
): { strides: number[]; size: number } {
  const strides = sizes.map(() => 0);
  let size = 1;
  for (let i = sizes.length - 1; i >= 0; i--) {
    if (!has[i]) continue;
    strides[i] = size;
    size *= sizes[i]!;
  }
  return { strides, size };
}

const reduceOps: ReduceOp[] = ['max', 'sum', 'sumSquares'];

const convolutions: fc.Arbitrary<ConvGeometry> = fc
  .record({
    ndims: dims(1, 3),
    batch: dims(1, 3),
    inputChannels: dims(1, 9),
    outputChannels: dims(1, 14),
    output: fc.tuple(dims(1, 5), dims(1, 9), dims(1, 13)),
    kernel: fc.tuple(dims(1, 3), dims(1, 5), dims(1, 5)),
    stride: fc.tuple(dims(1, 2), dims(1, 3), dims(1, 3)),
    padding: fc.tuple(dims(0, 2), dims(0, 2), dims(0, 2)),
    extra: fc.tuple(dims(0, 1), dims(0, 2), dims(0, 2)),
  })
  .map(({ ndims, batch, inputChannels, outputChannels, ...r }) => {
    const pick = (t: Triple, idle: number): Triple => [
      ndims > 2 ? t[0] : idle,
      ndims > 1 ? t[1] : idle,
      t[2],
    ];
    const [kernel, stride, padding] = [pick(r.kernel, 1), pick(r.stride, 1), pick(r.padding, 0)];
    const wanted = pick(r.output, 1);
    // An input that yields about the wanted output, some columns of it unused under a stride.
    const size = (i: 0 | 1 | 2): number =>
      Math.max(
        1,
        kernel[i] - 2 * padding[i],
        (wanted[i] - 1) * stride[i] +
          kernel[i] -
          2 * padding[i] +
          Math.min(r.extra[i], stride[i] - 1),
      );
    const input: Triple = [size(0), size(1), size(2)];
    const out = (i: 0 | 1 | 2): number =>
      Math.floor((input[i] + 2 * padding[i] - kernel[i]) / stride[i]) + 1;
    const output: Triple = [out(0), out(1), out(2)];
    return { batch, inputChannels, outputChannels, input, output, kernel, stride, padding };
  });

function convGeometry(
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

/** Sizes that cross every blocking limit of a tiled implementation, and networks' own. */
const largeConvolutions: [string, ConvGeometry][] = [
  ['depth blocks', convGeometry(1, 75, 7, [1, 5, 9], [1, 3, 3], [0, 1, 1])],
  ['row blocks', convGeometry(1, 3, 201, [1, 4, 5], [1, 3, 3], [0, 1, 1])],
  ['column blocks', convGeometry(2, 4, 12, [1, 17, 19], [1, 3, 3], [0, 1, 1])],
  ['many samples of 49', convGeometry(9, 8, 12, [1, 7, 7], [1, 3, 3], [0, 1, 1])],
  ['many samples of 49, pointwise', convGeometry(9, 24, 24, [1, 7, 7], [1, 1, 1], [0, 0, 0])],
  ['few outputs', convGeometry(3, 48, 4, [1, 14, 14], [1, 3, 3], [0, 1, 1])],
  ['few inputs', convGeometry(3, 2, 48, [1, 14, 14], [1, 3, 3], [0, 1, 1])],
  ['few outputs, volume', convGeometry(2, 20, 2, [5, 6, 7], [3, 3, 3], [1, 1, 1])],
  ['few outputs, wide', convGeometry(1, 16, 1, [1, 40, 130], [1, 5, 5], [0, 2, 2])],
  ['few outputs, line', convGeometry(3, 33, 3, [1, 1, 301], [1, 1, 5], [0, 0, 2])],
  ['no padding, few outputs', convGeometry(2, 32, 2, [1, 12, 11], [1, 3, 3], [0, 0, 0])],
  ['more padding than kernel', convGeometry(2, 16, 2, [1, 9, 8], [1, 2, 2], [0, 2, 2])],
  ['stride 2', convGeometry(2, 16, 10, [1, 15, 17], [1, 3, 3], [0, 1, 1], [1, 2, 2])],
];

const products: fc.Arbitrary<MatmulGeometry> = fc.record({
  batch: dims(1, 4),
  m: dims(1, 40),
  k: dims(1, 40),
  n: dims(1, 40),
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  batchedA: fc.boolean(),
  batchedB: fc.boolean(),
});

/**
 * Each entry is a sum of products: any order of summation in float32 stays within (its length)·ε of
 * the sum of magnitudes, and blocked orders within this much smaller multiple.
 */
const SUM_TOLERANCE = 1e-6;

describe.each(backends)('$label', ({ make }) => {
  const backend = make();

  describe('element-wise', () => {
    it.each(unaryCases)(
      '$op of special values and a sweep',
      ({ op, alpha = 0, beta = 0, halfUlps }) => {
        // A product with a subnormal result, or ties, may land one subnormal off; agrees allows two.
        const scale: Computation | undefined =
          op === 'affine'
            ? (b, upload) =>
                b.unary('affine', upload(absolute(sweep)), Math.abs(alpha), Math.abs(beta))
            : undefined;
        agrees(
          backend,
          (b, upload) => b.unary(op, upload(sweep), alpha, beta),
          halfUlps * EPSILON,
          scale,
        );
      },
    );

    it.each(unaryCases)('$op of every length', ({ op, alpha = 0, beta = 0, halfUlps }) => {
      for (let size = 1; size <= 19; size++) {
        const data = numbers(size, size).map((x) => 0.5 + Math.abs(x));
        agrees(
          backend,
          (b, upload) => b.unary(op, upload(data), alpha, beta),
          2 * halfUlps * EPSILON,
        );
      }
    });

    it.each(binaryOps)('%s of special values', (op) => {
      const left = Float32Array.from(SPECIAL.flatMap((x) => SPECIAL.map(() => x)));
      const right = Float32Array.from(SPECIAL.flatMap(() => SPECIAL));
      const how = { sizes: [left.length], aStrides: [1], bStrides: [1] };
      if (op === 'sigmoidGrad' || op === 'tanhGrad') {
        // Products of three overflow in an order of their own: only outputs of the function count.
        const outputs = left.map((x) =>
          Number.isFinite(x) ? Math.sin(x) ** 2 : Number.isNaN(x) ? x : 1,
        );
        const factors = right.map((x) => (Math.abs(x) < 1e-30 ? 0 : x));
        agrees(
          backend,
          (b, upload) => b.binary(op, upload(outputs), upload(factors), how),
          1e-6,
          (b, upload) => b.unary('abs', upload(factors), 0, 0),
        );
      } else {
        agrees(backend, (b, upload) => b.binary(op, upload(left), upload(right), how), EPSILON);
      }
    });

    it.each(binaryOps)('%s with every kind of broadcasting', (op) => {
      const axis = fc.record({ size: dims(1, 9), a: fc.boolean(), b: fc.boolean() });
      fc.assert(
        fc.property(
          fc.array(axis, { minLength: 1, maxLength: 5 }),
          fc.boolean(),
          seeds,
          (axes, collapse, seed) => {
            // Where both are broadcast the axis is there in neither, so at least one has it.
            const sizes = axes.map((x) => x.size);
            const a = stridesOf(
              sizes,
              axes.map((x) => x.a || !x.b),
            );
            const b = stridesOf(
              sizes,
              axes.map((x) => x.b),
            );
            const plain = { sizes, aStrides: a.strides, bStrides: b.strides };
            const how = collapse ? collapsed(plain) : plain;
            const [x, y] = [numbers(a.size, seed), numbers(b.size, seed + 1)];
            // Up to four roundings; 1 − a and 1 − a² are as good as a is.
            agrees(
              backend,
              (be, upload) => be.binary(op, upload(x), upload(y), how),
              4e-7,
              (be, upload) =>
                op === 'sigmoidGrad' || op === 'tanhGrad'
                  ? be.binary('mul', upload(absolute(y).fill(2)), upload(y), {
                      ...how,
                      aStrides: how.bStrides,
                    })
                  : be.binary(op, upload(x), upload(y), how),
            );
          },
        ),
        RUNS,
      );
    });

    it('takes two operands with any strides, such as a transposed one', () => {
      const how = { sizes: [3, 7, 5], aStrides: [1, 15, 3], bStrides: [35, 5, 1] };
      const [x, y] = [numbers(105, 1), numbers(105, 2)];
      agrees(backend, (b, upload) => b.binary('sub', upload(x), upload(y), how), EPSILON);
      agrees(
        backend,
        (b, upload) =>
          b.binary('div', upload(y), upload(x), {
            ...how,
            aStrides: how.bStrides,
            bStrides: how.aStrides,
          }),
        EPSILON,
      );
    });

    it('fills', () => {
      for (const size of [1, 3, 4, 17, 1000]) {
        for (const value of [0, -1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
          agrees(backend, (b, _, dtype) => b.fill(size, value, dtype), 0);
        }
      }
    });
  });

  describe('reductions', () => {
    const axis = fc.record({ size: dims(1, 11), reduced: fc.boolean() });
    it.each(reduceOps)('%s over any dimensions', (op) => {
      fc.assert(
        fc.property(fc.array(axis, { minLength: 1, maxLength: 5 }), seeds, (axes, seed) => {
          const sizes = axes.map((x) => x.size);
          const reduced = axes.map((x) => x.reduced);
          const data = numbers(volume(sizes), seed);
          agrees(
            backend,
            (b, upload) => b.reduce(op, upload(data), { sizes, reduced }),
            op === 'max' ? 0 : 3e-7,
            (b, upload) => b.reduce(op, upload(absolute(data)), { sizes, reduced }),
          );
        }),
        RUNS,
      );
    });

    it('sums a million numbers to the last place', () => {
      const data = numbers(1_000_003, 7).map((x) => x + 1);
      agrees(
        backend,
        (b, upload) => b.reduce('sum', upload(data), { sizes: [data.length], reduced: [true] }),
        1e-7,
      );
      const how = { sizes: [100_000, 10], reduced: [true, false] };
      agrees(
        backend,
        (b, upload) => b.reduce('sum', upload(data.subarray(0, 1_000_000)), how),
        1e-7,
      );
      agrees(
        backend,
        (b, upload) =>
          b.reduce('sumSquares', upload(data), { sizes: [data.length], reduced: [true] }),
        3e-7,
      );
    });

    it.each(reduceOps)('%s keeps NaN and infinities', (op) => {
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (let at = 0; at < 21; at++) {
          const data = numbers(21, 3);
          data[at] = special;
          agrees(
            backend,
            (b, upload) => b.reduce(op, upload(data), { sizes: [21], reduced: [true] }),
            3e-7,
          );
          agrees(
            backend,
            (b, upload) => b.reduce(op, upload(data), { sizes: [3, 7], reduced: [true, false] }),
            3e-6,
          );
        }
      }
    });
  });

  describe('layout', () => {
    it('permutes up to eight axes', () => {
      const shapes = fc
        .integer({ min: 1, max: 8 })
        .chain((rank) =>
          fc.tuple(
            fc.array(rank > 5 ? dims(1, 3) : dims(1, 7), { minLength: rank, maxLength: rank }),
            fc.shuffledSubarray([...Array(rank).keys()], { minLength: rank, maxLength: rank }),
          ),
        );
      fc.assert(
        fc.property(shapes, ([sizes, axes]) => {
          const data = numbers(volume(sizes), 5);
          agrees(backend, (b, upload) => b.permute(upload(data), sizes, axes), 0);
        }),
        { ...RUNS, numRuns: 150 },
      );
      const squeeze = numbers(2 * 3 * 10 * 14, 5);
      agrees(
        backend,
        (b, upload) => b.permute(upload(squeeze), [2, 3, 5, 2, 7, 2], [0, 1, 3, 5, 2, 4]),
        0,
      );
    });

    it('slices and joins', () => {
      const parts = fc.array(dims(1, 6), { minLength: 1, maxLength: 5 });
      fc.assert(
        fc.property(dims(1, 5), parts, dims(1, 9), seeds, (outer, lengths, inner, seed) => {
          const total = lengths.reduce((a, b) => a + b, 0);
          const whole = numbers(outer * total * inner, seed);
          const joined: Computation = (b, upload) =>
            b.concat(
              lengths.map((length, i) => upload(numbers(outer * length * inner, seed + i))),
              outer,
              lengths,
              inner,
            );
          agrees(backend, joined, 0);
          let start = 0;
          for (const length of lengths) {
            const from = start;
            agrees(
              backend,
              (b, upload) => b.slice(upload(whole), outer, total, inner, from, length),
              0,
            );
            start += length;
          }
        }),
        { ...RUNS, numRuns: 30 },
      );
    });
  });

  describe('products', () => {
    const check = (g: MatmulGeometry, seed: number): void => {
      const a = numbers((g.batchedA ? g.batch : 1) * g.m * g.k, seed);
      const b = numbers((g.batchedB ? g.batch : 1) * g.k * g.n, seed + 1);
      agrees(
        backend,
        (be, upload) => be.matmul(upload(a), upload(b), g),
        SUM_TOLERANCE,
        (be, upload) => be.matmul(upload(absolute(a)), upload(absolute(b)), g),
      );
    };

    it('multiplies matrices of any shape', () => {
      fc.assert(fc.property(products, seeds, check), { ...RUNS, numRuns: 150 });
    });

    it('multiplies matrices beyond one block', () => {
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          check(
            {
              batch: 1,
              m: 203,
              k: 331,
              n: 139,
              transposeA,
              transposeB,
              batchedA: false,
              batchedB: false,
            },
            11,
          );
        }
      }
    });

    it('keeps NaN and infinities', () => {
      const g = {
        batch: 1,
        m: 7,
        k: 9,
        n: 11,
        transposeA: false,
        transposeB: false,
        batchedA: false,
        batchedB: false,
      };
      const [a, b] = [numbers(63, 1), numbers(99, 2)];
      a[10] = Number.NaN;
      a[30] = Number.POSITIVE_INFINITY;
      b[50] = Number.NEGATIVE_INFINITY;
      agrees(backend, (be, upload) => be.matmul(upload(a), upload(b), g), 1e-4);
    });

    const convolution = (g: ConvGeometry, seed: number, withBias: boolean, relu: boolean): void => {
      const x = numbers(g.batch * g.inputChannels * volume(g.input), seed);
      const w = numbers(g.outputChannels * g.inputChannels * volume(g.kernel), seed + 1);
      const dy = numbers(g.batch * g.outputChannels * volume(g.output), seed + 2);
      const bias = numbers(g.outputChannels, seed + 3);
      agrees(
        backend,
        (b, upload) =>
          b.conv(
            upload(x),
            upload(w),
            withBias ? upload(bias) : undefined,
            relu ? 'relu' : 'none',
            g,
          ),
        SUM_TOLERANCE,
        (b, upload) =>
          b.conv(upload(absolute(x)), upload(absolute(w)), upload(absolute(bias)), 'none', g),
      );
      agrees(
        backend,
        (b, upload) => b.convInputGrad(upload(dy), upload(w), g),
        SUM_TOLERANCE,
        (b, upload) => b.convInputGrad(upload(absolute(dy)), upload(absolute(w)), g),
      );
      agrees(
        backend,
        (b, upload) => b.convFilterGrad(upload(x), upload(dy), g),
        SUM_TOLERANCE,
        (b, upload) => b.convFilterGrad(upload(absolute(x)), upload(absolute(dy)), g),
      );
    };

    it('convolves, with both gradients, in any geometry', () => {
      fc.assert(fc.property(convolutions, seeds, fc.boolean(), fc.boolean(), convolution), {
        ...RUNS,
        numRuns: 200,
      });
    });

    it.each(largeConvolutions)('convolves, with both gradients: %s', (_, g) => {
      convolution(g, 31, true, true);
    });

    it('convolves NaN and infinities where they are, and nowhere else', () => {
      const g = convGeometry(2, 3, 5, [1, 6, 7], [1, 3, 3], [0, 1, 1]);
      const x = numbers(252, 1);
      const w = numbers(135, 2);
      x[60] = Number.NaN;
      x[200] = Number.POSITIVE_INFINITY;
      const scale: Computation = (b, upload) =>
        b.conv(upload(absolute(x)), upload(absolute(w)), undefined, 'none', g);
      for (const activation of ['none', 'relu'] as const) {
        agrees(
          backend,
          (b, upload) => b.conv(upload(x), upload(w), undefined, activation, g),
          SUM_TOLERANCE,
          scale,
        );
      }
    });
  });

  describe('updates', () => {
    it('accumulates and assigns', () => {
      for (const size of [1, 3, 4, 7, 64, 129]) {
        const [t, x] = [numbers(size, size), numbers(size, size + 1)];
        const accumulated: Computation = (b, upload) => {
          const target = upload(t);
          b.accumulate(target, upload(x), -0.75);
          return target;
        };
        agrees(backend, accumulated, 2 * EPSILON, (b, upload) =>
          b.unary('affine', upload(absolute(t)), 1, 1),
        );
        const assigned: Computation = (b, upload) => {
          const target = upload(t);
          b.assign(target, upload(x));
          return target;
        };
        agrees(backend, assigned, 0);
      }
    });

    it('takes Adam steps', () => {
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
              b.adam(target, m, v, upload(numbers(size, 10 + step)), { ...settings, step });
            }
            return states[watched] as Storage;
          };
          // Five steps of a few roundings each, on numbers of about one.
          agrees(backend, steps, 2e-6, (b, _, dtype) => b.fill(size, 1, dtype));
        }
      }
    });
  });

  describe('storages', () => {
    it('copies in and out, exactly, at once or later', async () => {
      const x = backend.upload(sweep, 'float32');
      const copy = backend.readSync(x);
      expect(copy).toEqual(sweep);
      copy.fill(3);
      expect(await backend.read(x)).toEqual(sweep);
      backend.free(x);
      expect(exact([1, 2])).toEqual(Float64Array.of(1, 2));
    });

    it('counts the bytes that were asked for', () => {
      const fresh = make();
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

    it('leaves operands as they were', () => {
      const g = convGeometry(1, 3, 4, [1, 5, 5], [1, 3, 3], [0, 1, 1]);
      const [xs, ws, ys] = [numbers(75, 1), numbers(108, 2), numbers(100, 3)];
      const [x, w, dy] = [xs, ws, ys].map((data) => backend.upload(data, 'float32')) as [
        Storage,
        Storage,
        Storage,
      ];
      const results = [
        backend.conv(x, w, undefined, 'relu', g),
        backend.convInputGrad(dy, w, g),
        backend.convFilterGrad(x, dy, g),
      ];
      expect([x, w, dy].map((s) => backend.readSync(s))).toEqual([xs, ws, ys]);
      for (const storage of [x, w, dy, ...results]) backend.free(storage);
    });

    it('refuses the storages of another backend', () => {
      const others =
        backend instanceof ReferenceBackend ? new WasmBackend() : new ReferenceBackend();
      const other = others.fill(4, 1, 'float32');
      expect(() => backend.unary('neg', other, 0, 0)).toThrow(BackendError);
    });
  });
});

describe('wasm alone', () => {
  it('says what runs', () => {
    expect(new WasmBackend({ relaxedSimd: false }).info().details).toMatchObject({
      simd: 'simd128',
      threads: 1,
    });
  });

  it('has float32 only', () => {
    expect(() => new WasmBackend().upload([1], 'float64')).toThrow(DTypeError);
    expect(() => new WasmBackend().upload([1], 'float64')).toThrow(/float64.*float32/);
  });

  it('refuses a storage that was freed', () => {
    const backend = new WasmBackend();
    const x = backend.fill(4, 1, 'float32');
    backend.free(x);
    expect(() => backend.readSync(x)).toThrow(/freed/);
    expect(() => backend.free(x)).toThrow(BackendError);
  });

  it('names what it could not allocate, and goes on unharmed', () => {
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

  it('keeps its numbers when the memory grows', () => {
    const backend = new WasmBackend();
    const data = numbers(1000, 1);
    const x = backend.upload(data, 'float32');
    const large = backend.fill(5_000_000, 3, 'float32');
    expect(backend.readSync(x)).toEqual(data);
    backend.free(large);
    backend.free(x);
  });

  it('counts scratch while it is in use, within a bound', () => {
    const backend = new WasmBackend();
    const g = convGeometry(2, 300, 300, [1, 20, 20], [1, 3, 3], [0, 1, 1]);
    const x = backend.fill(g.batch * 300 * 400, 1, 'float32');
    const w = backend.fill(300 * 300 * 9, 1, 'float32');
    const before = backend.memory.info().liveBytes;
    backend.memory.resetPeak();
    const y = backend.conv(x, w, undefined, 'none', g);
    const scratch = backend.memory.info().peakBytes - before - 4 * y.size;
    expect(scratch).toBeGreaterThan(0);
    expect(scratch).toBeLessThan(600_000);
    expect(backend.memory.info().liveBytes).toBe(before + 4 * y.size);
  });
});
