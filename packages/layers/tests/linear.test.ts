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
  ActNorm,
  AffineLayer,
  build,
  Conv1x1,
  conv1x1Of,
  copyModule,
  describe as describeModule,
  initialize,
  Permutation,
  type PermutationOptions,
  reverse,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const gap = (a: Tensor, b: Tensor) => largest(numbers(sub(a, b)));

describe('ActNorm', () => {
  const channelMoments = (values: readonly number[], n: number, c: number, p: number) =>
    Array.from({ length: c }, (_, channel) => {
      const own: number[] = [];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < p; j++) own.push(values[(i * c + channel) * p + j]!);
      }
      const average = own.reduce((a, b) => a + b, 0) / own.length;
      return [average, own.reduce((a, b) => a + (b - average) ** 2, 0) / own.length] as const;
    });

  it('starts as the identity, and stays it whatever data it meets', () => {
    const x = affine(new RandomStream(1).normal([4, 3, 5]), 3, 7);
    const norm = new ActNorm({ channels: 3 });
    const { y, logdet } = norm.forward(x);
    expect(numbers(y)).toEqual(numbers(x));
    expect(numbers(logdet)).toEqual([0, 0, 0, 0]);
    expect(numbers(norm.inverse(x).x)).toEqual(numbers(x));
  });

  it.each(['forward', 'inverse'] as const)(
    'normalizes the data that it is initialized on (%s)',
    async (way) => {
      const x = affine(new RandomStream(1).normal([4, 3, 5]), 3, 7);
      const norm = new ActNorm({ channels: 3 });
      await initialize(way === 'forward' ? norm : reverse(norm), x);
      const out = way === 'forward' ? norm.forward(x).y : norm.inverse(x).x;
      for (const [average, variance] of channelMoments(numbers(out), 4, 3, 5)) {
        expect(average).toBeCloseTo(0, 10);
        expect(variance).toBeCloseTo(1, 10);
      }
      const scale = numbers(norm.scale.data);
      norm.forward(affine(x, 2));
      await initialize(norm, affine(x, 2));
      expect(numbers(norm.scale.data)).toEqual(scale);
    },
  );

  it('keeps assigned parameters', async () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, 4]));
    await initialize(norm, ones([1, 2, 1]));
    const { y } = norm.forward(ones([1, 2, 1]));
    expect(numbers(y)).toEqual([2, 4]);
  });

  it('gives a constant channel a finite scale', async () => {
    const norm = new ActNorm({ channels: 1 });
    await initialize(norm, ones([2, 1, 3]));
    const { y, logdet } = norm.forward(ones([2, 1, 3]));
    expect([...numbers(y), ...numbers(logdet)].every(Number.isFinite)).toBe(true);
  });

  it('says what it expected', () => {
    expect(() => new ActNorm({ channels: 0 })).toThrow(ValueError);
    expect(() => new ActNorm({ channels: 2 }).forward(zeros([1, 3, 2]))).toThrow(/3 channels.*2/);
  });
});

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
    const text = { channels: 1, size: '44' as unknown as number[] };
    expect(() => new AffineLayer(text)).toThrow(/size is '44'; expected a list/);
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
    expect(() => new Conv1x1(unknown)).toThrow(/'qr'.*'householder', 'plu'/);
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

describe('conv1x1Of', () => {
  const matrices: Readonly<Record<string, number[]>> = {
    'a rotation': [0.6, 0.8, -0.8, 0.6],
    'a swap, with a zero where a pivot would be': [0, 1, 1, 0],
    'a small number where a pivot would be': [1e-12, 1, 1, 1],
    'one channel': [-3],
    'three channels': [0, 2, 1, -1, 0.5, 0, 0, 1, -1],
    'wide ones': Array.from(new RandomStream(7).normalArray(40 ** 2)),
  };

  it.each(Object.entries(matrices))('is the map of %s', (_, matrix) => {
    const channels = Math.sqrt(matrix.length);
    const mix = conv1x1Of(matrix);
    const unit = Array.from(matrix, (_, i) => (i % (channels + 1) ? 0 : 1));
    const identity = tensor(unit, [1, channels, channels]);
    const { y, logdet } = mix.forward(identity);
    expect(largest(numbers(y).map((v, i) => v - matrix[i]!))).toBeLessThan(1e-13);
    expect(gap(mix.inverse(y).x, identity)).toBeLessThan(1e-12);
    // A transposed matrix has other pivots, rows and signs, and the same determinant.
    const { logdet: again } = conv1x1Of(transposed(matrix, channels)).forward(identity);
    expect(gap(logdet, again)).toBeLessThan(1e-11);
    const copied = build(describeModule(mix), { modules: [Conv1x1] }) as Conv1x1;
    copied.weights[0]!.assign(mix.weights[0]!.data);
    expect(numbers(copied.forward(identity).y)).toEqual(numbers(y));
  });

  it('knows the determinant, and can be frozen', () => {
    const { logdet } = conv1x1Of([1, 2, 3, 4], { frozen: true }).forward(ones([1, 2, 5]));
    expect(numbers(logdet)[0]).toBeCloseTo(5 * Math.log(2), 12);
    expect(conv1x1Of([1, 2, 3, 4], { frozen: true }).weights[0]!.frozen).toBe(true);
  });

  it('says what it expected', () => {
    expect(() => conv1x1Of([1, 2, 2, 4])).toThrow(/singular; expected an invertible/);
    expect(() => conv1x1Of([1, 2, 3])).toThrow(/has 3 numbers; expected a list of C² numbers/);
    expect(() => conv1x1Of([])).toThrow(ValueError);
    expect(() => conv1x1Of([1, 0, 0, Number.NaN])).toThrow(/matrix\[3\] is NaN/);
    const plu = { channels: 2, parametrization: 'plu' } as const;
    expect(() => new Conv1x1({ ...plu, rows: [0, 0] })).toThrow(/rows\[1\] is 0/);
    expect(() => new Conv1x1({ ...plu, signs: [1, 0] })).toThrow(/signs is \[1, 0\]; .*1 or −1/);
    expect(() => new Conv1x1({ ...plu, signs: [1] })).toThrow(
      /signs is \[1\]; expected a list of 2/,
    );
    expect(() => new Conv1x1({ channels: 2, rows: [0, 1] })).toThrow(/'householder'; .*'plu'/);
  });
});

function transposed(matrix: readonly number[], n: number): number[] {
  return matrix.map((_, k) => matrix[(k % n) * n + Math.floor(k / n)]!);
}

describe('Conv1x1', () => {
  const kinds = [
    { parametrization: 'householder', names: ['v1', 'v2', 'v3'] },
    { parametrization: 'plu', names: ['lu'] },
  ] as const;

  it('is orthogonal, and frozen vectors gather no gradient', () => {
    const mix = new Conv1x1({ channels: 5, frozen: true, random: new RandomStream(4) });
    const x = new RandomStream(2).normal([2, 5, 3]);
    const { y } = mix.forward(x);
    expect(Math.hypot(...numbers(y))).toBeCloseTo(Math.hypot(...numbers(x)), 12);
    mix.backward(y, y);
    expect(mix.parameters.every((p) => p.grad === undefined)).toBe(true);
  });

  it.each(kinds)('has its parameters directly in it: $parametrization', (kind) => {
    const { parametrization, names } = kind;
    const f = new Conv1x1({ channels: 3, parametrization });
    expect(f.parameters.map((p) => p.name)).toEqual(names);
  });

  it.each(kinds)('is described, built again and copied: $parametrization', (kind) => {
    const { parametrization } = kind;
    const f = new Conv1x1({ channels: 3, parametrization, frozen: true });
    const config = describeModule(f);
    expect(config).toEqual({ $type: 'Conv1x1', channels: 3, parametrization, frozen: true });
    const again = build(config, { modules: [Conv1x1] });
    expect(again.parameters.every((p) => p.frozen)).toBe(true);
    const moved = new Conv1x1({ channels: 3, parametrization, random: new RandomStream(8) });
    const x = new RandomStream(3).normal([2, 3, 4]);
    expect(numbers(copyModule(moved).forward(x).y)).toEqual(numbers(moved.forward(x).y));
  });

  it.each(kinds)('can be frozen later, and stays what it was made as: $parametrization', (kind) => {
    const { parametrization } = kind;
    const f = new Conv1x1({ channels: 3, parametrization });
    const y = new RandomStream(1).normal([2, 3]);
    for (const p of f.parameters) p.frozen = true;
    f.backward(y, y, { dlogdet: ones([2]) });
    f.backwardInverse(y, y, { dlogdet: ones([2]) });
    expect(f.parameters.every((p) => p.grad === undefined)).toBe(true);
    expect(f.options.frozen).toBe(false);
    for (const p of f.parameters) p.frozen = false;
    f.backward(y, y);
    expect(f.parameters.every((p) => p.grad !== undefined)).toBe(true);
  });
});

describe('Permutation', () => {
  it('takes channel order[c] for channel c, as a list, reversed or drawn', () => {
    const x = tensor([10, 11, 12, 13], [1, 4]);
    const order = (given: PermutationOptions['order'], seed = 0) =>
      new Permutation({ channels: 4, order: given, random: new RandomStream(seed) });
    expect(numbers(order([2, 3, 0, 1]).forward(x).y)).toEqual([12, 13, 10, 11]);
    expect(numbers(order([1, 3, 0, 2]).forward(x).y)).toEqual([11, 13, 10, 12]);
    expect(numbers(order([1, 3, 0, 2]).inverse(x).x)).toEqual([12, 10, 13, 11]);
    expect(order('reversed').order).toEqual([3, 2, 1, 0]);
    const drawn = order('random', 5);
    expect(drawn.order).not.toEqual(order('random', 6).order);
    expect(describeModule(drawn)).toEqual({
      $type: 'Permutation',
      channels: 4,
      order: drawn.order,
    });
    expect(numbers(copyModule(drawn).forward(x).y)).toEqual(numbers(drawn.forward(x).y));
  });

  it('says what it expected', () => {
    const make = (order: unknown) => () => new Permutation({ channels: 3, order: order as [] });
    expect(make([0, 1])).toThrow(/order has 2 entries; expected 3/);
    expect(make([0, 2, 2])).toThrow(/order\[2\] is 2; expected each number from 0 to 2 once/);
    for (const entry of [3, -1, 0.5, '1', null]) expect(make([0, entry, 2])).toThrow(/order\[1\]/);
    expect(make('swapped')).toThrow(/'swapped'; expected a list of channels, 'reversed' or/);
    expect(make(undefined)).toThrow(ValueError);
    expect(() => make([2, 1, 0])().forward(zeros([1, 4]))).toThrow(/4 channels; expected 3/);
  });
});
