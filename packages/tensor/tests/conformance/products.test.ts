/** Conformance of matrix products and convolutions with their gradients. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Backend, ConvGeometry, MatmulGeometry, Storage, Triple } from '../../src/backend.ts';
import { WasmBackend } from '../../src/wasm/backend.ts';
import { supportsRelaxedSimd } from '../../src/wasm/kernels.ts';
import {
  absolute,
  type Computation,
  convGeometry,
  dims,
  numbers,
  once,
  open,
  oracle,
  rows,
  seeds,
  type Upload,
  volume,
} from './harness.ts';

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

/** Sizes that cross every blocking limit of a tiled implementation, and networks' own. */
const largeConvolutions: [string, ConvGeometry][] = [
  ['depth blocks', convGeometry(1, 75, 20, [1, 5, 9], [1, 3, 3], [0, 1, 1])],
  ['depth blocks, few outputs', convGeometry(1, 330, 3, [1, 5, 6], [1, 3, 3], [0, 1, 1])],
  ['row blocks', convGeometry(1, 3, 201, [1, 4, 5], [1, 3, 3], [0, 1, 1])],
  ['column blocks', convGeometry(2, 4, 12, [1, 17, 19], [1, 3, 3], [0, 1, 1])],
  ['many channels both ways', convGeometry(2, 26, 31, [1, 13, 15], [1, 3, 3], [0, 1, 1])],
  ['many channels, odd and narrow', convGeometry(1, 40, 24, [1, 9, 8], [1, 3, 3], [0, 2, 0])],
  ['many channels, few columns', convGeometry(3, 33, 25, [1, 1, 8], [1, 3, 3], [0, 1, 1])],
  ['many channels, in blocks', convGeometry(1, 330, 26, [1, 8, 8], [1, 3, 3], [0, 1, 1])],
  ['twelve channels, many columns', convGeometry(2, 12, 13, [1, 17, 32], [1, 3, 3], [0, 1, 1])],
  ['long products, few columns', convGeometry(4, 3, 5, [1, 30, 31], [1, 1, 1], [0, 0, 0])],
  ['many samples of 49', convGeometry(9, 8, 12, [1, 7, 7], [1, 3, 3], [0, 1, 1])],
  ['pointwise, where it lies', convGeometry(3, 40, 13, [1, 1, 196], [1, 1, 1], [0, 0, 0])],
  ['pointwise, lines of one set', convGeometry(2, 40, 13, [1, 32, 32], [1, 1, 1], [0, 0, 0])],
  ['many samples of 49, pointwise', convGeometry(9, 24, 24, [1, 7, 7], [1, 1, 1], [0, 0, 0])],
  ['few outputs', convGeometry(3, 48, 4, [1, 14, 14], [1, 3, 3], [0, 1, 1])],
  ['few inputs', convGeometry(3, 2, 48, [1, 14, 14], [1, 3, 3], [0, 1, 1])],
  [
    'many channels, more inputs, wide padding',
    convGeometry(2, 48, 26, [1, 17, 30], [1, 3, 3], [0, 3, 3]),
  ],
  ['few inputs, 13 outputs', convGeometry(3, 3, 13, [1, 12, 16], [1, 3, 3], [0, 1, 1])],
  ['few outputs, a short sample', convGeometry(1, 150, 2, [1, 8, 20], [1, 5, 5], [0, 2, 2])],
  ['one channel', convGeometry(5, 1, 1, [1, 20, 20], [1, 3, 3], [0, 1, 1])],
  [
    'few inputs, volume, stride 2',
    convGeometry(1, 2, 15, [8, 8, 8], [3, 3, 3], [1, 1, 1], [1, 2, 2]),
  ],
  ['more inputs, short samples', convGeometry(3, 50, 33, [1, 4, 5], [1, 3, 3], [0, 1, 1])],
  ['few outputs, volume', convGeometry(2, 20, 2, [5, 6, 7], [3, 3, 3], [1, 1, 1])],
  ['few outputs, slice by slice', convGeometry(1, 33, 8, [6, 20, 21], [3, 3, 3], [1, 1, 1])],
  [
    'few outputs, slice by slice, more padding than kernel',
    convGeometry(2, 33, 8, [4, 24, 24], [2, 3, 3], [3, 1, 1]),
  ],
  ['few outputs, wide', convGeometry(1, 16, 1, [1, 40, 130], [1, 5, 5], [0, 2, 2])],
  ['few outputs, line', convGeometry(3, 33, 3, [1, 1, 301], [1, 1, 5], [0, 0, 2])],
  ['no padding, few outputs', convGeometry(2, 32, 2, [1, 12, 11], [1, 3, 3], [0, 0, 0])],
  ['more padding than kernel', convGeometry(2, 16, 2, [1, 9, 8], [1, 2, 2], [0, 2, 2])],
  ['stride 2', convGeometry(2, 16, 10, [1, 15, 17], [1, 3, 3], [0, 1, 1], [1, 2, 2])],
  [
    'strides as large as kernels',
    convGeometry(2, 5, 9, [1, 19, 22], [1, 4, 4], [0, 1, 0], [1, 4, 4]),
  ],
  ['strides beyond kernels', convGeometry(2, 3, 4, [1, 14, 17], [1, 2, 2], [0, 0, 1], [1, 3, 5])],
  ['strides, in strips', convGeometry(1, 90, 6, [1, 31, 20], [1, 5, 3], [0, 3, 0], [1, 2, 1])],
  ['strides, low strips', convGeometry(1, 140, 5, [1, 26, 61], [1, 7, 5], [0, 2, 4], [1, 2, 3])],
  ['strides, pointwise', convGeometry(2, 5, 30, [1, 9, 12], [1, 1, 1], [0, 0, 0], [1, 2, 3])],
  ['kernels beyond the image', convGeometry(2, 6, 40, [1, 3, 2], [1, 7, 5], [0, 3, 2], [1, 2, 1])],
  ['strides, volume', convGeometry(2, 3, 5, [9, 8, 7], [3, 4, 2], [1, 0, 1], [2, 3, 2])],
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

describe.each(rows)('$label', async (row) => {
  const { agrees, runs, special, size } = await open(row);

  describe('products', () => {
    const check = async (g: MatmulGeometry, seed: number): Promise<void> => {
      const a = numbers((g.batchedA ? g.batch : 1) * g.m * g.k, seed);
      const b = numbers((g.batchedB ? g.batch : 1) * g.k * g.n, seed + 1);
      await agrees(
        (be, upload) => be.matmul(upload(a), upload(b), g),
        SUM_TOLERANCE,
        (be, upload) => be.matmul(upload(absolute(a)), upload(absolute(b)), g),
      );
    };

    it('multiplies matrices of any shape', async () => {
      await fc.assert(fc.asyncProperty(products, seeds, check), runs(150));
    });

    it('multiplies matrices beyond one block', async () => {
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          await check(
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

    if (special)
      it('keeps NaN and infinities', async () => {
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
        await agrees((be, upload) => be.matmul(upload(a), upload(b), g), 1e-4);
      });

    const convolution = async (
      g: ConvGeometry,
      seed: number,
      withBias: boolean,
      relu: boolean,
    ): Promise<void> => {
      const x = numbers(g.batch * g.inputChannels * volume(g.input), seed);
      const w = numbers(g.outputChannels * g.inputChannels * volume(g.kernel), seed + 1);
      const dy = numbers(g.batch * g.outputChannels * volume(g.output), seed + 2);
      const bias = numbers(g.outputChannels, seed + 3);
      await agrees(
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
      await agrees(
        (b, upload) => b.convInputGrad(upload(dy), upload(w), undefined, g),
        SUM_TOLERANCE,
        (b, upload) => b.convInputGrad(upload(absolute(dy)), upload(absolute(w)), undefined, g),
      );
      // As if a ReLU had made x: about half of it is not positive.
      await agrees(
        (b, upload) => b.convInputGrad(upload(dy), upload(w), upload(x), g),
        SUM_TOLERANCE,
        (b, upload) => b.convInputGrad(upload(absolute(dy)), upload(absolute(w)), undefined, g),
      );
      await agrees(
        (b, upload) => b.convFilterGrad(upload(x), upload(dy), g),
        SUM_TOLERANCE,
        (b, upload) => b.convFilterGrad(upload(absolute(x)), upload(absolute(dy)), g),
      );
    };

    it('convolves, with both gradients, in any geometry', async () => {
      await fc.assert(
        fc.asyncProperty(convolutions, seeds, fc.boolean(), fc.boolean(), convolution),
        runs(200),
      );
    });

    it.each(largeConvolutions.slice(0, size(largeConvolutions.length)))(
      'convolves, with both gradients: %s',
      async (_, g) => {
        await convolution(g, 31, true, true);
      },
    );

    it.each<[string, ConvGeometry]>([
      ['odd and narrow', convGeometry(1, 40, 24, [1, 9, 8], [1, 3, 3], [0, 2, 0])],
      ['cut short', convGeometry(2, 12, 13, [1, 17, 31], [1, 3, 3], [0, 1, 1])],
      ['few outputs', convGeometry(1, 48, 4, [1, 7, 7], [1, 3, 3], [0, 1, 1])],
      ['strides', convGeometry(1, 6, 40, [1, 9, 9], [1, 3, 3], [0, 1, 1], [1, 2, 2])],
    ])('convolves whatever lies beside the operands: %s', async (_, g) => {
      const x = numbers(g.batch * g.inputChannels * volume(g.input), 1);
      const w = numbers(g.outputChannels * g.inputChannels * volume(g.kernel), 2);
      const dy = numbers(g.batch * g.outputChannels * volume(g.output), 3);
      const nothing = new Float32Array(96).fill(Number.NaN);
      const among = (upload: Upload, values: Float32Array) => {
        upload(nothing);
        const operand = upload(values);
        upload(nothing);
        return operand;
      };
      type Run = (b: Backend, x: Storage, w: Storage, dy: Storage) => Storage;
      const runs: Run[] = [
        (b, x, w) => b.conv(x, w, undefined, 'none', g),
        (b, _, w, dy) => b.convInputGrad(dy, w, undefined, g),
        (b, x, w, dy) => b.convInputGrad(dy, w, x, g),
        (b, x, _, dy) => b.convFilterGrad(x, dy, g),
      ];
      for (const run of runs) {
        await agrees(
          (b, upload) => run(b, among(upload, x), among(upload, w), among(upload, dy)),
          SUM_TOLERANCE,
          (b, upload) => run(b, upload(absolute(x)), upload(absolute(w)), upload(absolute(dy))),
        );
      }
    });

    if (special)
      it('convolves NaN and infinities where they are, and nowhere else', async () => {
        const g = convGeometry(2, 3, 5, [1, 6, 7], [1, 3, 3], [0, 1, 1]);
        const x = numbers(252, 1);
        const w = numbers(135, 2);
        x[60] = Number.NaN;
        // The last position of a sample, where tiles are cut short.
        x[83] = Number.NaN;
        x[200] = Number.POSITIVE_INFINITY;
        const scale: Computation = (b, upload) =>
          b.conv(upload(absolute(x)), upload(absolute(w)), undefined, 'none', g);
        for (const activation of ['none', 'relu'] as const) {
          await agrees(
            (b, upload) => b.conv(upload(x), upload(w), undefined, activation, g),
            SUM_TOLERANCE,
            scale,
          );
        }
      });
  });
});

describe("Winograd's method", () => {
  /** Root mean square of the difference from the oracle. */
  const error = (got: ArrayLike<number>, exact: ArrayLike<number>): number => {
    let squares = 0;
    for (let i = 0; i < exact.length; i++) squares += (got[i]! - exact[i]!) ** 2;
    return Math.sqrt(squares / exact.length);
  };

  const builds = supportsRelaxedSimd() ? [false, true] : [false];
  const backends = builds.map((relaxedSimd) => new WasmBackend({ relaxedSimd }));

  /**
   * Runs a case of any size within bounds as `minimal`, and as `direct` with planes of zeros before and behind,
   * which make it a convolution that only the direct method does.
   */
  const compare = async (
    channels: fc.Arbitrary<number>,
    sides: fc.Arbitrary<number>,
    cases: (
      seed: number,
      g: ConvGeometry,
      direct: ConvGeometry,
    ) => readonly (readonly [Computation, Computation])[],
  ) => {
    const sizes = fc.tuple(dims(1, 2), channels, channels, sides, dims(0, 2));
    await fc.assert(
      fc.asyncProperty(sizes, seeds, async ([batch, inputs, outputs, side, padding], seed) => {
        const width = 16 * Math.ceil(side / 16) - 2 * padding + 2;
        const pad: Triple = [0, padding, padding];
        const g = convGeometry(batch, inputs, outputs, [1, side, width], [1, 3, 3], pad);
        const deep: Triple = [1, padding, padding];
        const direct = convGeometry(batch, inputs, outputs, [1, side, width], [3, 3, 3], deep);
        for (const [run, plainly] of cases(seed, g, direct)) {
          const exact = await once(oracle, 'float64', run);
          for (const backend of backends) {
            const minimal = error(await once(backend, 'float32', run), exact);
            const whole = await once(backend, 'float32', plainly);
            // Of a filter gradient the plane in the middle.
            const plain = error(
              whole.length === exact.length
                ? whole
                : Array.from(exact, (_, i) => whole[27 * Math.floor(i / 9) + 9 + (i % 9)]!),
              exact,
            );
            // Different methods round differently: otherwise this would compare one with itself.
            expect(minimal).not.toBe(plain);
            expect(minimal).toBeLessThanOrEqual(4 * plain);
          }
        }
      }),
      { numRuns: 12, seed: 6 },
    );
  };

  it.each([
    ['many channels', dims(24, 70), dims(13, 34)],
    ['few channels of larger images', dims(12, 23), dims(34, 44)],
  ])(
    'errs at most four times as much as the direct method, in both builds: %s',
    async (_, channels, sides) => {
      await compare(channels, sides, (seed, g, direct) => {
        const x = numbers(g.batch * g.inputChannels * volume(g.input), seed);
        const w = numbers(g.outputChannels * g.inputChannels * 9, seed + 1);
        const padded = new Float32Array(3 * w.length);
        for (let i = 0; i < w.length; i += 9) padded.set(w.subarray(i, i + 9), 3 * i + 9);
        const dy = numbers(g.batch * g.outputChannels * volume(g.output), seed + 2);
        const forward =
          (weights: Float32Array, how: ConvGeometry): Computation =>
          (b, upload) =>
            b.conv(upload(x), upload(weights), undefined, 'none', how);
        const back =
          (weights: Float32Array, how: ConvGeometry): Computation =>
          (b, upload) =>
            b.convInputGrad(upload(dy), upload(weights), undefined, how);
        return [forward, back].map((make) => [make(w, g), make(padded, direct)] as const);
      });
    },
  );

  it('errs at most four times as much in filter gradients', async () => {
    await compare(dims(40, 70), dims(20, 34), (seed, g, direct) => {
      const x = numbers(g.batch * g.inputChannels * volume(g.input), seed);
      const dy = numbers(g.batch * g.outputChannels * volume(g.output), seed + 2);
      const make =
        (how: ConvGeometry): Computation =>
        (b, upload) =>
          b.convFilterGrad(upload(x), upload(dy), how);
      return [[make(g), make(direct)]];
    });
  });
});
