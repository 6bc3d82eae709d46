/** Arguments that are none: each ends in a typed error that says what came, and changes nothing. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import * as api from '../src/index.ts';
import {
  type AdamTensors,
  adamUpdate,
  affine,
  conv,
  full,
  fusedCoupling,
  InvNetError,
  memory,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  slice,
  split,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '../src/index.ts';

/** Values that no number, size, shape, list, option or tensor may be. */
const spoiled: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  1.5,
  2 ** 40,
  '2',
  'x',
  1n,
  true,
  Symbol('s'),
  {},
  { length: 2 },
  [],
  [1.5],
  ['2'],
  [-2, 3],
  [Number.NaN],
  // biome-ignore lint/suspicious/noSparseArray: holes are what is tried.
  [2, , 3],
  () => 1,
  new Map(),
  new Date(0),
  BigInt64Array.of(1n),
];

describe.each(['reference', 'wasm'] as const)('arguments on %s', (name) => {
  beforeEach(() => setBackend(name));

  /** Calls of everything that takes tensors, numbers or lists, each right as it stands. */
  const calls = () => {
    const r = new RandomStream(1);
    const x = r.normal([2, 3, 4, 4]);
    const [w, m, rt] = [r.normal([5, 3, 3, 3]), r.normal([3, 4]), r.normal([2, 4, 4, 4])];
    const dy = r.normal([2, 5, 4, 4]);
    const [scale, shift] = [r.normal([3]), r.normal([3])];
    const moments = (): AdamTensors => ({
      target: ones([3]),
      m: zeros([3]),
      v: zeros([3]),
      grad: ones([3]),
      step: 1,
    });
    const settings = {
      learningRate: 0.1,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      gradientScale: 1,
    };
    const entries: [string, readonly unknown[]][] = [
      [
        'tensor',
        [
          [1, 2, 3, 4],
          [2, 2],
        ],
      ],
      ['full', [[2, 3], 0.5]],
      ['zeros', [[2, 3]]],
      ['ones', [[2, 3]]],
      ['zerosLike', [x]],
      ['affine', [x, 2, 1]],
      ['leakyRelu', [x, 0.1]],
      ['power', [ones([2, 2]), 2]],
      ['exp', [x]],
      ['clone', [x]],
      ['add', [x, x]],
      ['mul', [x, x]],
      ['accumulate', [ones([3]), ones([3]), 2]],
      ['assign', [ones([3]), ones([3])]],
      ['requireSameShape', ['test', x, x]],
      ['adamUpdate', [[moments()], settings]],
      ['permute', [x, [3, 1, 0, 2]]],
      ['slice', [x, 1, 1, 2]],
      ['split', [x, 1, [1, 2]]],
      ['concat', [[x, x], 1]],
      ['sum', [x, { axes: [1], keepDims: true }]],
      ['mean', [x, { axes: [1] }]],
      ['max', [x, { axes: [-1] }]],
      ['sumSquares', [x, { axes: [0] }]],
      ['sumPerSample', [x]],
      ['sumPerChannel', [x]],
      ['matmul', [m, m, { transposeA: true, transposeB: false }]],
      ['conv', [x, w, { stride: 1, padding: 1, bias: ones([5]), activation: 'relu' }]],
      ['convInputGrad', [dy, w, [2, 3, 4, 4], { padding: [1, 1], relu: x }]],
      ['convFilterGrad', [x, dy, [5, 3, 3, 3], { padding: 1 }]],
      ['fusedCoupling', [rt, { low: 0.1, high: 1 }, 'forward', 1]],
      ['fusedChannelAffine', [scale, shift, 'inverse']],
      ['fusedReflections', [[scale, shift, ones([3])]]],
      ['addToFirstChannels', [r.normal([2, 3, 4]), r.normal([2, 1, 4])]],
      ['hasFusedPasses', [x]],
    ];
    return entries;
  };

  const run = (op: string, args: readonly unknown[]): unknown => {
    const f: unknown = Reflect.get(api, op);
    return typeof f === 'function' ? f(...args) : undefined;
  };

  /** The places of one value within a call's arguments, each with a way to spoil it. */
  function* places(args: readonly unknown[]): Generator<(bad: unknown) => unknown[]> {
    for (const [i, arg] of args.entries()) {
      yield (bad) => args.map((a, j) => (i === j ? bad : a));
      if (Array.isArray(arg)) {
        for (const j of arg.keys()) {
          yield (bad) => args.map((a, k) => (i === k ? arg.map((v, l) => (l === j ? bad : v)) : a));
        }
      } else if (arg && Object.getPrototypeOf(arg) === Object.prototype) {
        for (const key of [...Object.keys(arg), 'misspelt']) {
          yield (bad) => args.map((a, k) => (i === k ? { ...arg, [key]: bad } : a));
        }
      }
    }
  }

  it('are refused by a typed error, and nothing is left behind', async () => {
    const entries = calls();
    for (const [op, args] of entries) {
      for (const spoil of places(args)) {
        for (const bad of spoiled) {
          const { liveBytes, tensors } = memory();
          const spoiledArgs = spoil(bad);
          let result: unknown;
          try {
            result = run(op, spoiledArgs);
          } catch (error) {
            if (!(error instanceof InvNetError)) {
              throw new Error(`${op}(${spoiledArgs.map(api.formatValue).join(', ')})`, {
                cause: error,
              });
            }
            expect(memory(), error.message).toMatchObject({ liveBytes, tensors });
            continue;
          }
          // What is accepted makes numbers, which are none only where that was asked for.
          const made = new Set<Tensor>();
          api.collectTensors(result, made);
          for (const t of made) {
            const numbers = await t.data();
            const asked = op === 'tensor' || !numbers.some(Number.isNaN);
            expect(asked, `${op} of ${api.formatValue(bad)}`).toBe(true);
            t.dispose();
          }
          expect(Number.isSafeInteger(memory().liveBytes)).toBe(true);
        }
      }
    }
  });

  it('of adamUpdate have the shape of what they move', async () => {
    const settings = { learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, gradientScale: 1 };
    const others = Array.from({ length: 20 }, () => ones([4]));
    for (const key of ['m', 'v', 'grad'] as const) {
      const right = { target: ones([4]), m: ones([4]), v: ones([4]), grad: ones([4]), step: 1 };
      for (const shape of [[1], [2, 2], [40]]) {
        expect(() => adamUpdate([{ ...right, [key]: ones(shape) }], settings)).toThrow(ShapeError);
      }
    }
    for (const t of others) expect([...(await t.data())]).toEqual([1, 1, 1, 1]);
  });

  it('of shapes are copied, and stay as they were', () => {
    const shape = [2, 3];
    const made = [zeros(shape), tensor([1, 2, 3, 4, 5, 6], shape), zeros([6]).reshape(shape)];
    shape[0] = 6;
    shape.push(7);
    for (const t of made) {
      expect(t.shape).toEqual([2, 3]);
      expect(() => Reflect.apply(Array.prototype.push, t.shape, [1])).toThrow(TypeError);
    }
  });

  it('of numbers in arrays are numbers, or the message has the place', () => {
    const cases: [unknown, RegExp][] = [
      [['1.5', '2.5'], /got '1.5' at \[0\]; expected a number: texts/],
      [
        [
          [1, null],
          [2, 3],
        ],
        /got null at \[0\]\[1\]/,
      ],
      [
        [
          [1, 2],
          [3, 'x'],
        ],
        /got 'x' at \[1\]\[1\]/,
      ],
      [BigInt64Array.of(1n, 2n), /a BigInt64Array; expected a number: 64-bit/],
      [[1n], /got 1n at \[0\]/],
      // biome-ignore lint/suspicious/noSparseArray: a hole is what is tried.
      [[1, , 2], /got undefined at \[1\]/],
      [[[1], [2, 3]], /ragged: got an array of 2 at \[1\]/],
      [[[1], 2], /ragged: got 2 at \[1\]/],
      [[[], []], /empty/],
      ['12', /got '12'; expected a number/],
      [undefined, /got undefined/],
      [new DataView(new ArrayBuffer(8)), /a DataView/],
    ];
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    cases.push([cyclic, /deeper than 32/]);
    for (const [values, message] of cases) {
      expect(() => run('tensor', [values])).toThrow(InvNetError);
      expect(() => run('tensor', [values])).toThrow(message);
    }
    expect(tensor([Float32Array.of(1, 2), Uint8Array.of(3, 4)]).shape).toEqual([2, 2]);
    expect(tensor(Uint16Array.of(1, 65535)).dataSync()[1]).toBe(65535);
    expect(tensor(Number.NaN).dataSync()[0]).toBeNaN();
  });

  it('that are whole are whole', () => {
    const x = zeros([4, 4]);
    const fractions = fc.double({ min: -4, max: 8 }).filter((v) => !Number.isInteger(v));
    fc.assert(
      fc.property(fc.oneof(fractions, fc.constantFrom(-1, Number.NaN)), (v) => {
        expect(() => slice(x, 0, v, 1)).toThrow(ShapeError);
        expect(() => slice(x, 0, 0, v)).toThrow(ShapeError);
        expect(() => slice(x, v, 0, 1)).toThrow(ShapeError);
        expect(() => split(x, 1, [v, 4 - v])).toThrow(ShapeError);
        expect(() => zeros([v])).toThrow(ShapeError);
        expect(() => conv(zeros([1, 1, 4]), ones([1, 1, 1]), { stride: v })).toThrow(ShapeError);
      }),
      { examples: [[Number.NaN], [1.5], [-1]] },
    );
    expect(() => affine(x, Number.NaN)).toThrow(ValueError);
    expect(() => full([2], Number.NEGATIVE_INFINITY)).toThrow(ValueError);
    if (name === 'wasm') {
      expect(() => fusedCoupling(x, { low: 0, high: Number.NaN }, 'forward')).toThrow(ValueError);
    }
  });
});
