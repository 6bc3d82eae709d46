import {
  affine,
  memory,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ActNorm,
  addVectors,
  Conv1x1,
  dotVectors,
  expClamp,
  flatten,
  GlowCoupling,
  gradients,
  HaarSqueeze,
  leakyRelu,
  normOfVector,
  Parameter,
  ResidualBlock,
  relu,
  ShuffleSqueeze,
  scaleVector,
  sigmoid,
  unflatten,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

describe('ActNorm', () => {
  const channelMoments = (values: ArrayLike<number>, n: number, c: number, p: number) =>
    Array.from({ length: c }, (_, channel) => {
      const own: number[] = [];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < p; j++) own.push(values[(i * c + channel) * p + j]!);
      }
      const average = own.reduce((a, b) => a + b, 0) / own.length;
      return [average, own.reduce((a, b) => a + (b - average) ** 2, 0) / own.length] as const;
    });

  it.each(['forward', 'inverse'] as const)('normalizes the first data it meets (%s)', (way) => {
    const x = affine(new RandomStream(1).normal([4, 3, 5]), 3, 7);
    const norm = new ActNorm({ channels: 3 });
    const out = way === 'forward' ? norm.forward(x).y : norm.inverse(x).x;
    for (const [average, variance] of channelMoments(out.dataSync(), 4, 3, 5)) {
      expect(average).toBeCloseTo(0, 10);
      expect(variance).toBeCloseTo(1, 10);
    }
    const scale = norm.scale.data.dataSync();
    norm.forward(affine(x, 2));
    expect(norm.scale.data.dataSync()).toEqual(scale);
  });

  it('keeps assigned parameters', () => {
    const norm = new ActNorm({ channels: 2 });
    norm.scale.assign(tensor([2, 4]));
    const { y } = norm.forward(ones([1, 2, 1]));
    expect([...y.dataSync()]).toEqual([2, 4]);
  });

  it('gives a constant channel a finite scale', () => {
    const { y, logdet } = new ActNorm({ channels: 1 }).forward(ones([2, 1, 3]));
    expect([...y.dataSync(), ...logdet.dataSync()].every(Number.isFinite)).toBe(true);
  });
});

describe('squeezes', () => {
  const image = () =>
    tensor(
      Array.from({ length: 16 }, (_, i) => i),
      [1, 1, 4, 4],
    );

  it.each([
    ['column', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]],
    ['patch', [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]],
    ['checkerboard', [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]],
  ] as const)('%s moves positions into channels as its picture says', (pattern, expected) => {
    const { y } = new ShuffleSqueeze({ pattern }).forward(image());
    expect(y.shape).toEqual([1, 4, 2, 2]);
    expect([...y.dataSync()]).toEqual(expected);
  });

  it('Haar gives averages and differences of each block', () => {
    const { y } = new HaarSqueeze().forward(image());
    // Of the block 0 1 / 4 5: half its sum, then its differences along W, along H, and both.
    expect([0, 4, 8, 12].map((i) => y.dataSync()[i])).toEqual([5, -1, -4, 0]);
  });
});

describe('Conv1x1', () => {
  it('is orthogonal, and frozen vectors gather no gradient', () => {
    const mix = new Conv1x1({ channels: 5, frozen: true, random: new RandomStream(4) });
    const x = new RandomStream(2).normal([2, 5, 3]);
    const { y } = mix.forward(x);
    const norm = (v: ArrayLike<number>) => Math.hypot(...Array.from(v));
    expect(norm(y.dataSync())).toBeCloseTo(norm(x.dataSync()), 12);
    mix.backward(y, y);
    expect(mix.parameters.every((p) => p.grad === undefined)).toBe(true);
  });
});

describe('scale functions', () => {
  it('stay in their range', () => {
    const x = tensor([-50, -1, 0, 1, 50]);
    for (const f of [sigmoid({ low: 0.5, high: 1.5 }), expClamp({ clamp: 2 })]) {
      for (const v of f.apply(x).dataSync()) {
        expect(v).toBeGreaterThanOrEqual(f.range[0]);
        expect(v).toBeLessThanOrEqual(f.range[1]);
      }
    }
  });
});

describe('parameters', () => {
  it('are a vector space', async () => {
    const a = [tensor([1, 2]), tensor([[3]])];
    const b = [tensor([4, 5]), tensor([[6]])];
    expect(await dotVectors(a, b)).toBe(32);
    expect(await normOfVector([tensor([3, 4])])).toBe(5);
    expect([...flatten(addVectors(a, b, 2)).dataSync()]).toEqual([9, 12, 15]);
    expect([...flatten(scaleVector(a, -1)).dataSync()]).toEqual([-1, -2, -3]);
    const back = unflatten(tensor([7, 8, 9]), a);
    expect(back.map((t) => t.shape)).toEqual([[2], [1, 1]]);
    expect([...back[1]!.dataSync()]).toEqual([9]);
    expect(() => unflatten(tensor([1]), a)).toThrow(ShapeError);
  });

  it('take gradients over, and free those that they do not need', () => {
    const p = new Parameter('p', ones([2]));
    const first = ones([2]);
    p.takeGrad(first);
    expect(p.grad).toBe(first);
    const second = ones([2]);
    p.takeGrad(second);
    expect(second.disposed).toBe(true);
    expect([...p.grad!.dataSync()]).toEqual([2, 2]);
    p.frozen = true;
    const third = ones([2]);
    p.takeGrad(third);
    expect(third.disposed).toBe(true);
    expect([...p.grad!.dataSync()]).toEqual([2, 2]);
    p.frozen = false;
    p.zeroGrad();
    expect(() => p.takeGrad(ones([3]))).toThrow(ShapeError);
  });

  it('accumulate gradients until they are cleared', () => {
    const p = new Parameter('p', zeros([2]));
    p.accumulateGrad(ones([2]));
    p.accumulateGrad(ones([2]), 2);
    expect([...gradients([p])[0]!.dataSync()]).toEqual([3, 3]);
    p.zeroGrad();
    expect(p.grad).toBeUndefined();
  });
});

describe('bad input', () => {
  it('names what was expected and what came', () => {
    expect(() => new GlowCoupling({ channels: 1 })).toThrow(/channels is 1.*at least 2/);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: relu() })).toThrow(ValueError);
    expect(() => new GlowCoupling({ channels: 4, scaleFunction: sigmoid() })).toThrow(/positive/);
    expect(() => new ActNorm({ channels: 0 })).toThrow(ValueError);
    expect(() => sigmoid({ low: 2, high: 1 })).toThrow(ValueError);
    expect(() => leakyRelu({ slope: -1 })).toThrow(ValueError);
    expect(
      () => new ResidualBlock({ inChannels: 1, hidden: 2, outChannels: 1, kernel1: 2 }),
    ).toThrow(ValueError);
    expect(() => new HaarSqueeze().forward(zeros([1, 1, 4, 5]))).toThrow(/\[1, 1, 4, 5\].*even/);
    expect(() => new HaarSqueeze().inverse(zeros([1, 3, 2, 2]))).toThrow(/multiple of 4/);
    expect(() => new ShuffleSqueeze().forward(zeros([2, 2]))).toThrow(ShapeError);
    expect(() => new ActNorm({ channels: 2 }).forward(zeros([1, 3, 2]))).toThrow(/3 channels.*2/);
    const short = new ResidualBlock({ inChannels: 2, hidden: 2, outChannels: 3 });
    const coupling = new GlowCoupling({ channels: 4, conditioner: short });
    expect(() => coupling.forward(zeros([1, 4, 2, 2]))).toThrow(/3.*expected 4/);
  });
});

it('a coupling leaves nothing behind but what it returns', () => {
  const coupling = new GlowCoupling({ channels: 4, hidden: 3 });
  const x = new RandomStream(1).normal([2, 4, 3, 3]);
  const before = memory().tensors;
  const { y, logdet } = tidy(() => coupling.forward(x));
  expect(memory().tensors - before).toBe(2);
  y.dispose();
  logdet.dispose();
});
