/** Reflections, rotations, given maps and batch normalization. */
import {
  affine,
  mul,
  RandomStream,
  ShapeError,
  setBackend,
  sub,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Bijection,
  ConditionalHouseholder,
  fixedLinear,
  Householder,
  InvertibleBatchNorm,
  initialize,
  isInitialized,
  Orthogonal,
  resetInitialization,
  reverse,
  TrainingStep,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const gap = (a: Tensor, b: Tensor) => largest(numbers(sub(a, b)));

/** The matrix of a linear map, row by row: position p of the data is the p-th unit vector. */
function matrixOf(f: Bijection, channels: number): number[] {
  const unit = Array.from({ length: channels ** 2 }, (_, i) => Number(i % (channels + 1) === 0));
  return numbers(f.forward(tensor(unit, [1, channels, channels])).y);
}

/** The largest entry of WWᵀ − I. */
function defect(w: readonly number[], n: number): number {
  let worst = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let product = 0;
      for (let k = 0; k < n; k++) product += w[i * n + k]! * w[j * n + k]!;
      worst = Math.max(worst, Math.abs(product - Number(i === j)));
    }
  }
  return worst;
}

describe('Householder', () => {
  it.each([1, 2, 3, 5])('is the product of %i reflections', (reflections) => {
    const f = new Householder({ channels: 3, reflections, random: new RandomStream(2) });
    let x = [1, -2, 0.5];
    for (const { data } of f.weights.toReversed()) {
      const v = numbers(data);
      const along = v.reduce((s, a, i) => s + a * x[i]!, 0) / v.reduce((s, a) => s + a * a, 0);
      x = x.map((a, i) => a - 2 * along * v[i]!);
    }
    const { y } = f.forward(tensor([[1, -2, 0.5]]));
    expect(largest(numbers(y).map((a, i) => a - x[i]!))).toBeLessThan(1e-14);
  });

  it('is that of the same vectors as a context', () => {
    const f = new Householder({ channels: 3, reflections: 2, random: new RandomStream(2) });
    const x = new RandomStream(1).normal([2, 3, 4]);
    const vectors = tensor([f.weights.flatMap((p) => numbers(p.data))]);
    const g = new ConditionalHouseholder({ channels: 3, reflections: 2 });
    expect(gap(g.forward(x, vectors).y, f.forward(x).y)).toBeLessThan(1e-14);
  });

  it('says what it expected', () => {
    expect(() => new Householder({ channels: 2, reflections: 0 })).toThrow(/reflections is 0/);
    const g = new ConditionalHouseholder({ channels: 2, reflections: 2 });
    const x = new RandomStream(1).normal([3, 2, 5]);
    expect(() => g.forward(x)).toThrow(/expected a context of vectors, got none/);
    const wrong = new RandomStream(1).normal([3, 2]);
    expect(() => g.forward(x, wrong)).toThrow(/\[3, 2\].*expected \[3, 4\] or \[3, 4, 5\]/);
    expect(() => g.forward(x, new RandomStream(1).normal([3, 4, 4]))).toThrow(ShapeError);
  });
});

describe('Orthogonal', () => {
  it.each([0.3, 3, -20])('turns a plane by %f', (angle) => {
    const f = new Orthogonal({ channels: 2 });
    f.weights[0]!.assign(tensor([0, -angle, 0, 0], [2, 2]));
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const w = matrixOf(f, 2);
    expect(largest(w.map((v, i) => v - [c, -s, s, c][i]!))).toBeLessThan(1e-14);
  });

  it('turns a plane by twice the arctangent, as a Cayley transform', () => {
    const f = new Orthogonal({ channels: 2, map: 'cayley' });
    f.weights[0]!.assign(tensor([0, 0.75, 0, 0], [2, 2]));
    const w = matrixOf(f, 2);
    expect(largest(w.map((v, i) => v - [0.28, -0.96, 0.96, 0.28][i]!))).toBeLessThan(1e-15);
  });

  it.each([
    { map: 'exponential', size: 1 },
    { map: 'exponential', size: 4 },
    { map: 'cayley', size: 1 },
    { map: 'cayley', size: 60 },
  ] as const)('is orthogonal to rounding: $map, $size times its start', ({ map, size }) => {
    const f = new Orthogonal({ channels: 9, map });
    f.weights[0]!.assign(affine(f.weights[0]!.data, size));
    expect(defect(matrixOf(f, 9), 9)).toBeLessThan(1e-12);
  });

  it('starts at a given matrix, whatever its determinant, and keeps it in its options', () => {
    const start = [0, 1, 0, 1, 0, 0, 0, 0, 1];
    const f = new Orthogonal({ channels: 3, map: 'cayley', start });
    expect(largest(matrixOf(f, 3).map((v, i) => v - start[i]!))).toBeLessThan(1e-15);
    expect(new Orthogonal(f.options).options).toEqual(f.options);
  });

  it('says what it expected', () => {
    expect(() => new Orthogonal({ channels: 2, start: [1, 0, 0] })).toThrow(
      /3 numbers; expected 4/,
    );
    expect(() => new Orthogonal({ channels: 2, start: [1, 0, 1, 0] })).toThrow(
      /rows 0 and 1 of start have the product 1; expected 0/,
    );
    const unknown = { channels: 2, map: 'qr' } as unknown as { channels: number };
    expect(() => new Orthogonal(unknown)).toThrow(/'qr'.*'exponential', 'cayley'/);
  });
});

describe('fixedLinear', () => {
  it('is the matrix and the offset, and nothing is trained', () => {
    const f = fixedLinear([2, 1, 0, -0.5], { offset: [1, -1] });
    const { y, logdet } = f.forward(tensor([[3, 4]]));
    expect(gap(y, tensor([[11, -3]]))).toBeLessThan(1e-14);
    expect(numbers(logdet)[0]).toBeCloseTo(0, 14);
    expect(f.parameters.every((p) => p.frozen)).toBe(true);
  });

  it('says what it expected', () => {
    const offset = [0, 0];
    expect(() => fixedLinear([1, 2, 2, 4], { offset })).toThrow(/singular/);
    expect(() => fixedLinear([1, 0, 0, 1], { offset: [1] })).toThrow(/has 1 numbers; expected 2/);
    expect(() => fixedLinear([1, 0, 0, 1], { offset: [1, Number.NaN] })).toThrow(/offset\[1\]/);
  });
});

describe('InvertibleBatchNorm', () => {
  const batch = (seed: number, mean: number) =>
    affine(new RandomStream(seed).normal([50, 2]), 3, mean);
  const moments = (t: Tensor) => {
    const column = numbers(t).filter((_, i) => i % 2 === 0);
    const mean = column.reduce((a, b) => a + b, 0) / column.length;
    return [mean, column.reduce((a, b) => a + (b - mean) ** 2, 0) / (column.length - 1)] as const;
  };

  it('is set by the first batch, moved by each step that counts, and by nothing else', async () => {
    const norm = new InvertibleBatchNorm({ channels: 2, momentum: 0.25 });
    const [x, other] = [batch(1, 5), batch(2, -3)];
    expect(gap(norm.forward(x).y, affine(x, 1 / Math.sqrt(1 + 1e-5)))).toBeLessThan(1e-14);
    await initialize(norm, x);
    const [mean, variance] = moments(x);
    expect(numbers(norm.runningMean.data)[0]).toBeCloseTo(mean, 12);
    expect(numbers(norm.runningVariance.data)[0]).toBeCloseTo(variance, 12);
    const [after, spread] = moments(norm.forward(x).y);
    expect(after).toBeCloseTo(0, 12);
    expect(spread).toBeCloseTo(1, 4);

    const before = numbers(norm.runningMean.data);
    norm.forward(other);
    const step = new TrainingStep();
    step.run(() => norm.forward(other));
    expect(numbers(norm.runningMean.data)).toEqual(before);
    step.commit();
    const moved = 0.75 * mean + 0.25 * moments(other)[0];
    expect(numbers(norm.runningMean.data)[0]).toBeCloseTo(moved, 12);
    const widened = 0.75 * variance + 0.25 * moments(other)[1];
    expect(numbers(norm.runningVariance.data)[0]).toBeCloseTo(widened, 12);
  });

  it('stays as it is in evaluation, and as it was when a first step is rolled back', () => {
    const norm = new InvertibleBatchNorm({ channels: 2 });
    const first = new TrainingStep();
    first.run(() => norm.forward(batch(1, 5)));
    expect(isInitialized(norm)).toBe(true);
    first.rollback();
    expect(isInitialized(norm)).toBe(false);
    expect(numbers(norm.runningMean.data)).toEqual([0, 0]);
    norm.training = false;
    const second = new TrainingStep();
    second.run(() => norm.forward(batch(1, 5)));
    second.commit();
    expect(numbers(norm.runningVariance.data)).toEqual([1, 1]);
  });

  it('maps each sample by itself, in a step too', async () => {
    const norm = new InvertibleBatchNorm({ channels: 2 });
    const x = batch(1, 5);
    await initialize(norm, x);
    const step = new TrainingStep();
    const [alone, together] = step.run(() => [
      norm.forward(tensor(numbers(x).slice(0, 2), [1, 2])).y,
      norm.forward(x).y,
    ]);
    step.rollback();
    expect(numbers(together!).slice(0, 2)).toEqual(numbers(alone!));
  });

  it('is left alone by data that come through its inverse', async () => {
    const norm = new InvertibleBatchNorm({ channels: 2 });
    await initialize(reverse(norm), batch(1, 5));
    expect(isInitialized(norm)).toBe(true);
    expect(numbers(norm.runningMean.data)).toEqual([0, 0]);
    resetInitialization(norm);
    expect(isInitialized(norm)).toBe(false);
  });

  it('takes one number, which has no variance', async () => {
    const norm = new InvertibleBatchNorm({ channels: 1 });
    await initialize(norm, tensor([[4]]));
    expect(numbers(norm.forward(tensor([[4]])).y)).toEqual([0]);
    expect(numbers(norm.runningVariance.data)).toEqual([1]);
  });

  it('says what it expected', () => {
    expect(() => new InvertibleBatchNorm({ channels: 1, epsilon: 0 })).toThrow(/epsilon is 0/);
    expect(() => new InvertibleBatchNorm({ channels: 1, momentum: 2 })).toThrow(ValueError);
    const x = mul(batch(1, 0), batch(1, 0));
    expect(() => new InvertibleBatchNorm({ channels: 3 }).forward(x)).toThrow(/2 channels.*3/);
  });
});
