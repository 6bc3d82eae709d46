/**
 * Arguments that are none: what the error says. That every call with one ends in an error of the library is
 * the misuse test's, of all packages.
 */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { createGpuBackend } from '../src/gpu/index.ts';
import * as api from '../src/index.ts';
import {
  adamUpdate,
  affine,
  concat,
  conv,
  convInputGrad,
  full,
  fusedCoupling,
  InvNetError,
  ones,
  ShapeError,
  setBackend,
  slice,
  split,
  tensor,
  ValueError,
  zeros,
} from '../src/index.ts';

it('of the gpu backend are checked before a device is opened', async () => {
  for (const options of [{ mode: 'cuda' }, { products: 'cublas' }, 'webgpu', null]) {
    await expect(createGpuBackend(options as never)).rejects.toThrow(ValueError);
  }
});

it('of options and kinds are told with what was expected', async () => {
  const stream = new api.RandomStream(1);
  expect(() => api.requireOptions('f', { b: 1 }, ['a'])).toThrow(
    "f: there is no option 'b'; expected one of 'a'.",
  );
  // What was meant to be an option is not told by its first field.
  expect(() => api.requireOptions('f', Object.assign(stream, { b: 1 }), ['a'])).toThrow(
    'f: options is a RandomStream; expected { a }.',
  );
  expect(api.formatValue(new Int32Array(1))).toBe('an Int32Array');
  expect(api.formatShape([2, Object.create(null), [{}]] as never)).toBe(
    '[2, an object, a list of 1]',
  );
  expect(api.formatValue(new Uint8Array(1))).toBe('a Uint8Array');
  await expect(setBackend('cuda' as never)).rejects.toThrow(/expected one of .*'wasm'/);
});

describe.each(['reference', 'wasm'] as const)('arguments on %s', (name) => {
  beforeEach(() => setBackend(name));

  const run = (op: string, args: readonly unknown[]): unknown => {
    const f: unknown = Reflect.get(api, op);
    return typeof f === 'function' ? f(...args) : undefined;
  };

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

  it('of shapes are read once, whatever they say the next time', () => {
    const turning = () => {
      let reads = 0;
      return new Proxy([2, 1], {
        get: (shape, key) => (key === '0' && reads++ > 0 ? 1000 : Reflect.get(shape, key)),
      });
    };
    const frozen = Object.freeze(Object.defineProperty([2, 1], 0, { get: () => reads++ || 2 }));
    let reads = 0;
    const [dy, w] = [ones([2, 1, 3]), ones([1, 1, 1])];
    const made = [
      zeros(turning()),
      zeros(frozen),
      tensor([1, 2], turning()),
      zeros([2]).reshape(turning()),
    ];
    for (const t of made) expect([t.shape, t.size]).toEqual([[2, 1], 2]);
    const like = new Proxy([2, 1, 3], {
      get: (shape, key) => (key === '0' && reads++ > 2 ? 1000 : Reflect.get(shape, key)),
    });
    expect(convInputGrad(dy, w, like).size).toBe(6);
  });

  it('of shapes with more axes than anything has are not even read', () => {
    for (const length of [33, 2 ** 32 - 1]) {
      const sizes = new Array<number>(length);
      for (const make of [
        () => zeros(sizes),
        () => tensor([1], sizes),
        () => ones([1]).reshape(sizes),
      ]) {
        expect(make).toThrow(`got ${length} sizes; expected at most 32`);
      }
    }
    expect(zeros(new Array<number>(32).fill(1)).rank).toBe(32);
  });

  it('of concat are as many as there are', () => {
    const row = ones([1]);
    using all = concat(new Array<typeof row>(150_000).fill(row), 0);
    expect(all.size).toBe(150_000);
  });

  it('of swap are tensors, and those of messages anything', () => {
    for (const other of [null, undefined, {}, 1]) {
      expect(() => ones([1]).swap(other as never)).toThrow(ValueError);
    }
    const odd = { constructor: { name: Symbol('odd') } };
    expect(() => run('exp', [odd])).toThrow(ValueError);
  });

  it('of adamUpdate leave a zero gradient without an effect', () => {
    const moved = { target: ones([1]), m: zeros([1]), v: zeros([1]), grad: zeros([1]), step: 1 };
    const settings = { learningRate: 1, beta1: 0, beta2: 0, epsilon: 1e-60, gradientScale: 1 };
    expect(() => adamUpdate([moved], settings)).toThrow(/epsilon in float32 is 0/);
    expect(() => adamUpdate([null as never], { ...settings, epsilon: 1 })).toThrow(ValueError);
    const endless = { ...settings, epsilon: 1, targetScale: Number.NEGATIVE_INFINITY };
    expect(() => adamUpdate([moved], endless)).toThrow(/targetScale is -Infinity/);
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
