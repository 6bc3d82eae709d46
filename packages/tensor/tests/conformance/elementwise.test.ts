/** Conformance of the element-wise functions and the reductions. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { BinaryOp, Broadcast, ReduceOp, UnaryOp } from '../../src/backend.ts';
import {
  absolute,
  type Computation,
  dims,
  EPSILON,
  numbers,
  open,
  rows,
  SPECIAL,
  seeds,
  sweep,
  volume,
} from './harness.ts';

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

describe.each(rows)('$label', async (row) => {
  const { agrees, runs, special, inRange } = await open(row);

  describe('element-wise', () => {
    const checkUnary = async (
      data: Float32Array,
      { op, alpha = 0, beta = 0, halfUlps }: UnaryCase,
    ) => {
      // A sum may cancel, so its error is measured by its terms.
      const terms: Computation = (b, upload) =>
        b.unary(op, upload(absolute(data)), Math.abs(alpha), Math.abs(beta));
      await agrees(
        (b, upload) => b.unary(op, upload(data), alpha, beta),
        halfUlps * EPSILON,
        op === 'affine' ? terms : undefined,
      );
    };

    it.each(unaryCases)('$op of special values and a sweep', async (c) =>
      checkUnary(inRange(sweep), c),
    );

    it.each(unaryCases)('$op of every length', async (c) => {
      const sizes = special ? Array.from({ length: 19 }, (_, i) => i + 1) : [1, 4, 7];
      for (const size of sizes) await checkUnary(numbers(size, size), c);
    });

    it.each(binaryOps)('%s of special values', async (op) => {
      const values = [...inRange(Float32Array.from(SPECIAL))];
      const left = Float32Array.from(values.flatMap((x) => values.map(() => x)));
      const right = Float32Array.from(values.flatMap(() => values));
      const how = { sizes: [left.length], aStrides: [1], bStrides: [1] };
      if (op === 'sigmoidGrad' || op === 'tanhGrad') {
        // Products of three overflow in an order of their own: only outputs of the function count.
        const outputs = left.map((x) =>
          Number.isFinite(x) ? Math.sin(x) ** 2 : Number.isNaN(x) ? x : 1,
        );
        const factors = right.map((x) => (Math.abs(x) < 1e-30 ? 0 : x));
        await agrees(
          (b, upload) => b.binary(op, upload(outputs), upload(factors), how),
          1e-6,
          (b, upload) => b.unary('abs', upload(factors), 0, 0),
        );
      } else {
        await agrees((b, upload) => b.binary(op, upload(left), upload(right), how), EPSILON);
      }
    });

    it.each(binaryOps)('%s with every kind of broadcasting', async (op) => {
      const axis = fc.record({ size: dims(1, 9), a: fc.boolean(), b: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(
          fc.array(axis, { minLength: 1, maxLength: 5 }),
          fc.boolean(),
          seeds,
          async (axes, collapse, seed) => {
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
            await agrees(
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
        runs(60),
      );
    });

    it('takes two operands with any strides, such as a transposed one', async () => {
      const how = { sizes: [3, 7, 5], aStrides: [1, 15, 3], bStrides: [35, 5, 1] };
      const [x, y] = [numbers(105, 1), numbers(105, 2)];
      await agrees((b, upload) => b.binary('sub', upload(x), upload(y), how), EPSILON);
      await agrees(
        (b, upload) =>
          b.binary('div', upload(y), upload(x), {
            ...how,
            aStrides: how.bStrides,
            bStrides: how.aStrides,
          }),
        EPSILON,
      );
      const apart = { sizes: [4, 6], aStrides: [1, 0], bStrides: [1, 4] };
      await agrees((b, upload) => b.binary('sub', upload(x), upload(y), apart), EPSILON);
    });

    it('fills', async () => {
      for (const size of [1, 3, 4, 17, 1000]) {
        for (const value of special ? [0, -1.5, Number.NaN, Number.POSITIVE_INFINITY] : [0, -1.5]) {
          await agrees((b, _, dtype) => b.fill(size, value, dtype), 0);
        }
      }
    });
  });

  describe('reductions', () => {
    const axis = fc.record({ size: dims(1, 11), reduced: fc.boolean() });
    it.each(reduceOps)('%s over any dimensions', async (op) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(axis, { minLength: 1, maxLength: 5 }),
          seeds,
          async (axes, seed) => {
            const sizes = axes.map((x) => x.size);
            const reduced = axes.map((x) => x.reduced);
            const data = numbers(volume(sizes), seed);
            await agrees(
              (b, upload) => b.reduce(op, upload(data), { sizes, reduced }),
              op === 'max' ? 0 : 3e-7,
              (b, upload) => b.reduce(op, upload(absolute(data)), { sizes, reduced }),
            );
          },
        ),
        runs(60),
      );
    });

    it('sums a million numbers to the last place', async () => {
      const data = numbers(1_000_003, 7).map((x) => x + 1);
      await agrees(
        (b, upload) => b.reduce('sum', upload(data), { sizes: [data.length], reduced: [true] }),
        1e-7,
      );
      const how = { sizes: [100_000, 10], reduced: [true, false] };
      await agrees((b, upload) => b.reduce('sum', upload(data.subarray(0, 1_000_000)), how), 1e-7);
      await agrees(
        (b, upload) =>
          b.reduce('sumSquares', upload(data), { sizes: [data.length], reduced: [true] }),
        3e-7,
      );
    });

    it.each(special ? reduceOps : [])('%s keeps NaN and infinities', async (op) => {
      for (const special of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (let at = 0; at < 21; at++) {
          const data = numbers(21, 3);
          data[at] = special;
          await agrees(
            (b, upload) => b.reduce(op, upload(data), { sizes: [21], reduced: [true] }),
            3e-7,
          );
          await agrees(
            (b, upload) => b.reduce(op, upload(data), { sizes: [3, 7], reduced: [true, false] }),
            3e-6,
          );
        }
      }
    });
  });
});
