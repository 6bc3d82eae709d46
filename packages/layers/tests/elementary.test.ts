import {
  add,
  affine,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  sub,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Activation,
  AffineLayer,
  Conv1x1,
  Elementwise,
  expClamp,
  GlowCoupling,
  type InvertibleActivation,
  leakyRelu,
  relu,
  sigmoid,
  sigmoid2,
  softplus,
  tanh,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const gap = (a: Tensor, b: Tensor) => largest(numbers(sub(a, b)));

describe('AffineLayer', () => {
  it('starts as the identity', () => {
    const x = new RandomStream(1).normal([2, 3, 4]);
    const { y, logdet } = new AffineLayer({ channels: 3, size: [4] }).forward(x);
    expect(numbers(y)).toEqual(numbers(x));
    expect(numbers(logdet)).toEqual([0, 0]);
  });

  it('scales and shifts every number on its own', () => {
    const layer = new AffineLayer({ channels: 2 });
    layer.scale.assign(tensor([2, -0.5]));
    layer.shift.assign(tensor([1, 0]));
    const { y, logdet } = layer.forward(tensor([[3, 4]]));
    expect(numbers(y)).toEqual([7, -2]);
    expect(numbers(logdet)[0]).toBeCloseTo(0, 15);
    expect(numbers(layer.inverse(y).x)).toEqual([3, 4]);
  });

  it('says what it expected', () => {
    const layer = new AffineLayer({ channels: 2, size: [3, 4] });
    expect(() => layer.forward(zeros([1, 2, 4, 3]))).toThrow(/\[1, 2, 4, 3\].*\[N, 2, 3, 4\]/);
    expect(() => layer.inverse(zeros([1, 3, 3, 4]))).toThrow(ShapeError);
    expect(() => layer.backward(zeros([1, 2, 3]), zeros([1, 2, 3]))).toThrow(ShapeError);
    expect(() => new AffineLayer({ channels: 0 })).toThrow(/channels is 0/);
    expect(() => new AffineLayer({ channels: 1, size: [2.5] })).toThrow(/size is 2.5/);
    expect(() => new AffineLayer({ channels: 1, size: [1, 1, 1, 1] })).toThrow(ValueError);
  });
});

describe('Conv1x1 by PLU factors', () => {
  const plu = (channels: number, seed = 0) =>
    new Conv1x1({ channels, parametrization: 'plu', random: new RandomStream(seed) });

  it.each([1, 2, 3, 7, 16])('starts orthogonal, of determinant ±1: %i channels', (channels) => {
    const f = plu(channels, channels);
    const identity = Array.from({ length: channels ** 2 }, (_, i) => (i % (channels + 1) ? 0 : 1));
    // Position p holds the p-th unit vector, so that y is W.
    const x = tensor(identity, [1, channels, channels]);
    const { y, logdet } = f.forward(x);
    const w = numbers(y);
    for (let i = 0; i < channels; i++) {
      for (let j = 0; j < channels; j++) {
        let product = 0;
        for (let k = 0; k < channels; k++) product += w[k * channels + i]! * w[k * channels + j]!;
        expect(product).toBeCloseTo(i === j ? 1 : 0, 12);
      }
    }
    expect(largest(numbers(logdet))).toBeLessThan(1e-12);
  });

  it('differs from seed to seed', () => {
    const x = new RandomStream(3).normal([1, 4, 2]);
    expect(gap(plu(4, 1).forward(x).y, plu(4, 2).forward(x).y)).toBeGreaterThan(0.1);
  });

  it('is determined by its parameters: one made with another seed can take them over', () => {
    const [saved, loaded] = [plu(6, 1), plu(6, 2)];
    loaded.parameters.forEach((p, i) => {
      p.assign(saved.parameters[i]!.data);
    });
    const x = new RandomStream(3).normal([2, 6, 3]);
    expect(numbers(loaded.forward(x).y)).toEqual(numbers(saved.forward(x).y));
    expect(numbers(loaded.inverse(x).x)).toEqual(numbers(saved.inverse(x).x));
  });

  it.each([
    { dtype: 'float64', bound: 1e-11 },
    { dtype: 'float32', bound: 2e-3 },
  ] as const)('inverts wide matrices, moved off their start, in $dtype', async (settings) => {
    await setBackend('reference', { dtype: settings.dtype });
    const channels = 96;
    const f = plu(channels);
    const [lu] = f.parameters;
    lu!.assign(add(lu!.data, new RandomStream(5).normal(lu!.shape, 0.03)));
    const x = new RandomStream(9).normal([1, channels, 2]);
    const { y, logdet } = f.forward(x);
    const back = f.inverse(y);
    expect(gap(back.x, x)).toBeLessThan(settings.bound);
    expect(numbers(back.logdet)).toEqual(numbers(affine(logdet, -1)));
  });

  it('does not let large factors reach the exponential of the diagonal', () => {
    const f = plu(2);
    f.parameters[0]!.assign(tensor([0, 1000, -1000, 0], [2, 2]));
    const x = tensor([1, 2], [1, 2]);
    const { y } = f.forward(x);
    expect(numbers(f.inverse(y).x)).toEqual([1, 2]);
  });

  it('gathers no gradient when frozen', () => {
    const f = new Conv1x1({ channels: 3, parametrization: 'plu', frozen: true });
    const y = new RandomStream(1).normal([2, 3]);
    f.backward(y, y, { dlogdet: ones([2]) });
    expect(f.parameters.map((p) => p.grad)).toEqual([undefined]);
  });

  it('says what it expected', () => {
    const unknown = { channels: 2, parametrization: 'qr' } as unknown as { channels: number };
    expect(() => new Conv1x1(unknown)).toThrow(/'qr'.*householder or plu/);
    expect(() => new Conv1x1({ channels: 0, parametrization: 'plu' })).toThrow(ValueError);
    const [f, wrong] = [plu(3), zeros([1, 2, 4])];
    const calls = [
      () => f.forward(wrong),
      () => f.inverse(wrong),
      () => f.backward(wrong, wrong),
      () => f.backwardInverse(wrong, wrong),
      () => f.jvp(wrong, {}),
      () => f.jvpInverse(wrong, {}),
    ];
    for (const call of calls) expect(call).toThrow(/Conv1x1.*2 channels.*expected 3/);
  });
});

const invertible: readonly InvertibleActivation[] = [
  leakyRelu({ slope: 0.2 }),
  tanh(),
  softplus(),
  softplus({ low: 0.1 }),
  sigmoid({ low: -1, high: 3 }),
  sigmoid2(),
  expClamp({ clamp: 1.5 }),
];
const activations: readonly Activation[] = [relu(), ...invertible];

describe('activations', () => {
  it.each(activations)('$name stays in its range, and its slope is its derivative', (f) => {
    const points = [-30, -3, -1.1, -0.2, 0.3, 1, 2.5, 30];
    const y = f.apply(tensor(points));
    const [low, high] = f.range;
    for (const v of numbers(y)) {
      expect(v).toBeGreaterThanOrEqual(low);
      expect(v).toBeLessThanOrEqual(high);
    }
    const h = 1e-5;
    const [after, before] = [h, -h].map((s) => numbers(f.apply(affine(tensor(points), 1, s))));
    numbers(f.grad(y, ones([points.length]))).forEach((slope, i) => {
      expect(slope).toBeCloseTo((after![i]! - before![i]!) / (2 * h), 7);
    });
  });

  it('scale couplings from a positive bound on', () => {
    const x = new RandomStream(1).normal([2, 4, 3, 3]);
    const coupling = new GlowCoupling({
      channels: 4,
      hidden: 3,
      scaleFunction: softplus({ low: 0.1 }),
    });
    const { y, logdet } = coupling.forward(x);
    const back = coupling.inverse(y);
    expect(gap(back.x, x)).toBeLessThan(1e-12);
    expect(largest(numbers(add(back.logdet, logdet)))).toBeLessThan(1e-12);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: softplus() })).toThrow(/positive/);
  });

  it('name options out of range', () => {
    expect(() => softplus({ low: Number.NaN })).toThrow(/softplus: low NaN/);
    expect(() => expClamp({ clamp: 0 })).toThrow(ValueError);
    expect(() => leakyRelu({ slope: 0 })).toThrow(ValueError);
    expect(() => sigmoid({ low: 1, high: 1 })).toThrow(/low 1, high 1/);
  });
});

describe('Elementwise', () => {
  it.each(invertible)('$name has log-slopes and their derivatives', (f) => {
    const points = [-2.2, -0.7, 0.4, 1.9];
    const x = tensor(points);
    const y = f.apply(x);
    const slopes = numbers(f.grad(y, ones([points.length])));
    numbers(f.logSlope(x, y)).forEach((v, i) => {
      expect(v).toBeCloseTo(Math.log(slopes[i]!), 11);
    });
    const h = 1e-5;
    const [after, before] = [h, -h].map((s) => {
      const moved = affine(x, 1, s);
      return numbers(f.logSlope(moved, f.apply(moved)));
    });
    numbers(f.logSlopeDerivative(x, y)).forEach((v, i) => {
      expect(v).toBeCloseTo((after![i]! - before![i]!) / (2 * h), 8);
    });
  });

  it.each(invertible)('$name has finite log-determinants where it is flat', (f) => {
    const layer = new Elementwise(f);
    const { logdet } = layer.forward(tensor([[-300, 40, 300]]));
    expect(numbers(logdet).every(Number.isFinite)).toBe(true);
  });

  it.each([
    { backend: 'reference', dtype: 'float64', bound: 1e-12 },
    { backend: 'reference', dtype: 'float32', bound: 1e-4 },
    { backend: 'wasm', dtype: 'float32', bound: 1e-4 },
  ] as const)('inverts softplus close to zero: $backend, $dtype', async (settings) => {
    await setBackend(settings.backend, { dtype: settings.dtype });
    const layer = new Elementwise(softplus());
    const x = tensor([[-80, -40, -20, -16, -8, -1, 0, 1, 20, 80]]);
    expect(gap(layer.inverse(layer.forward(x).y).x, x)).toBeLessThan(settings.bound);
  });

  it('gives NaN outside the range', () => {
    const { x } = new Elementwise(sigmoid()).inverse(tensor([[-0.1, 0.5, 1.1]]));
    expect(numbers(x).map(Number.isNaN)).toEqual([true, false, true]);
  });
});
