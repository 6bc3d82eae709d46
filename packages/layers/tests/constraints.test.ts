/** Maps onto constrained sets: shares, ordered numbers, circles; and learned slopes and other shapes. */
import {
  add,
  affine,
  mul,
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
import { sineAndCosine } from '../src/elementwise/circle.ts';
import {
  type Bijection,
  Box,
  CircularShift,
  Elementwise,
  evaluate,
  exp,
  LearnedSlopes,
  Ordered,
  PeriodicFeatures,
  Reshape,
  StickBreaking,
  sigmoid,
  softplus,
  tanh,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const largest = (values: readonly number[]) => Math.max(...values.map(Math.abs));
const gap = (a: Tensor, b: Tensor) => largest(numbers(sub(a, b)));

describe('StickBreaking', () => {
  it('breaks a whole into shares, equal ones for zeros', () => {
    const { y, logdet } = new StickBreaking({ channels: 3 }).forward(zeros([1, 3]));
    expect(largest(numbers(y).map((v) => v - 0.25))).toBeLessThan(1e-15);
    // ∏ of y_c times what the next stick is short of: 1/4·3/4 · 1/4·2/3 · 1/4·1/2.
    expect(numbers(logdet)[0]).toBeCloseTo(Math.log(1 / 256), 14);
  });

  it('gives no numbers for what are no shares', () => {
    const shares = new StickBreaking({ channels: 2 });
    const outside = tensor([0.6, 0.5, -0.1, 0.5, 0.6, 0.4], [3, 2]);
    const found = numbers(shares.inverse(outside).logdet).map(Number.isFinite);
    expect(found).toEqual([false, false, true]);
  });

  it('is that of torch', () => {
    const shares = new StickBreaking({ channels: 3 });
    const { y, logdet } = shares.forward(tensor([[0.3, -1.2, 2]]));
    const expected = [0.3103224420123704, 0.09026916871088567, 0.527957157790385];
    expect(largest(numbers(y).map((v, i) => v - expected[i]!))).toBeLessThan(1e-15);
    expect(numbers(logdet)[0]).toBeCloseTo(-6.85258297341167, 12);
  });
});

/** x far out on every side, and how its maps end: in numbers. */
describe.each(['float32', 'float64'] as const)('far out, in %s', (dtype) => {
  beforeEach(() => setBackend('reference', { dtype }));
  const x = () => tensor([-1000, 2, 1000, 1000, -1000, 1000, 30, -60, 0.5], [3, 3]);
  const finite = (...results: (Tensor | undefined)[]) => {
    for (const t of results) expect(t && numbers(t).every(Number.isFinite)).toBe(true);
  };

  it('shares are finite both ways, with their derivatives', () => {
    const f = new StickBreaking({ channels: 3 });
    const { y, logdet } = f.forward(x());
    const back = f.backward(y, ones([3, 3]), { dlogdet: ones([3]) });
    const inverse = f.inverse(y);
    const { dy, dlogdet } = f.jvp(x(), { x: x() });
    finite(y, logdet, back.x, back.dx, inverse.x, inverse.logdet, dy, dlogdet);
  });

  it.each([new Box({ low: [-3, 0, 2], high: [2, 1, 5] }), new Ordered({ channels: 3 })])(
    '$type: numbers at the edge have an inverse',
    (f) => {
      const { y } = f.forward(x());
      const back = f.backward(y, ones([3, 3]), { dlogdet: ones([3]) });
      finite(back.x, back.dx, f.inverse(y).logdet);
    },
  );

  const maps: Readonly<Record<string, () => Bijection>> = {
    'ordered numbers': () => new Ordered({ channels: 3 }),
    'numbers in a box of bounds for each channel': () =>
      new Box({ low: [-3, 0, 2], high: [2, 1, 5] }),
    'numbers above zero': () => new Elementwise(softplus()),
    'numbers in a box': () => new Elementwise(sigmoid({ low: -3, high: 2 })),
  };
  it.each(Object.entries(maps))('%s are finite, with their derivatives', (_, make) => {
    const { y, dy, logdet, dlogdet } = make().jvp(x(), { x: ones([3, 3]) });
    finite(y, dy, logdet, dlogdet);
  });
});

describe('Box', () => {
  it('has bounds for each channel, and knows no others', () => {
    const box = new Box({ low: [0, -1], high: [10, 1] });
    expect(numbers(box.forward(zeros([1, 2])).y)).toEqual([5, 0]);
    const { x, logdet } = box.inverse(tensor([2, 0.5, 11, 0], [2, 2]));
    expect(numbers(x)[0]).toBeCloseTo(Math.log(2 / 8), 14);
    expect(numbers(logdet)[0]).toBeCloseTo(-Math.log((10 * 0.2 * 0.8 * 2 * 3) / 16), 14);
    expect(numbers(logdet)[1]).toBeNaN();
  });

  it('says what it expected', () => {
    expect(() => new Box({ low: [0, 1], high: [1] })).toThrow(/low has 2 numbers and high 1/);
    expect(() => new Box({ low: [2], high: [2] })).toThrow(
      /low\[0\] is 2 and high\[0\] 2; expected/,
    );
    expect(() => new Box({ low: [0], high: [Number.POSITIVE_INFINITY] })).toThrow(/high\[0\] is/);
  });
});

describe('Ordered', () => {
  it('gives no numbers for what is in another order', () => {
    const { logdet } = new Ordered({ channels: 2 }).inverse(tensor([2, 1, 1, 2], [2, 2]));
    expect(numbers(logdet).map(Number.isFinite)).toEqual([false, true]);
  });

  it('increases by gaps, of Stan if they are exponentials', () => {
    const f = new Ordered({ channels: 3, gap: exp() });
    const { y, logdet } = f.forward(tensor([[-2, Math.log(3), Math.log(0.5)]]));
    expect(largest(numbers(y).map((v, i) => v - [-2, 1, 1.5][i]!))).toBeLessThan(1e-15);
    expect(numbers(logdet)[0]).toBeCloseTo(Math.log(1.5), 14);
  });

  it('says what it expected', () => {
    expect(() => new Ordered({ channels: 1 })).toThrow(/channels is 1/);
    expect(() => new Ordered({ channels: 2, gap: tanh() })).toThrow(
      /gap is tanh, of the range -1 to 1; expected 0 to Infinity/,
    );
  });
});

describe('LearnedSlopes', () => {
  it('has the slopes of its options at first, and reciprocal ones if one is given', () => {
    const x = tensor([[3, -3]]);
    const both = new LearnedSlopes({ channels: 2, above: 2, below: 0.25 });
    expect(gap(both.forward(x).y, tensor([[6, -0.75]]))).toBeLessThan(1e-15);
    const one = new LearnedSlopes({ channels: 2 });
    expect(gap(one.forward(x).y, tensor([[6, -1.5]]))).toBeLessThan(1e-15);
    expect(numbers(one.forward(x).logdet)[0]).toBeCloseTo(0, 15);
    expect(one.parameters.map((p) => p.name)).toEqual(['above']);
  });

  it('gathers no gradient when frozen, and says what it expected', () => {
    const frozen = new LearnedSlopes({ channels: 1, frozen: true });
    frozen.backward(ones([2, 1]), ones([2, 1]), { dlogdet: ones([2]) });
    expect(frozen.above.grad).toBeUndefined();
    expect(() => new LearnedSlopes({ channels: 1, above: 0 })).toThrow(/above is 0/);
    expect(() => new LearnedSlopes({ channels: 1, below: -1 })).toThrow(/below is -1/);
  });
});

describe('sineAndCosine', () => {
  it('are those of numbers near and far, to the last digits', () => {
    const values = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 37);
    const [sine, cosine] = sineAndCosine(tensor(values)).map(numbers);
    expect(largest(values.map((v, i) => Math.sin(v) - sine![i]!))).toBeLessThan(1e-15);
    expect(largest(values.map((v, i) => Math.cos(v) - cosine![i]!))).toBeLessThan(1e-15);
  });
});

describe('CircularShift', () => {
  it('goes around, back, and leaves the other channels', () => {
    const turn = new CircularShift({ channels: 2, circular: [1], bound: 2, shift: 3 });
    const x = tensor([50, 1.5, -50, -1.5], [2, 2]);
    const { y, logdet } = turn.forward(x);
    expect(numbers(y)).toEqual([50, 0.5, -50, 1.5]);
    expect(numbers(logdet)).toEqual([0, 0]);
    expect(numbers(turn.inverse(y).x)).toEqual(numbers(x));
  });

  it('wraps angles from anywhere', () => {
    const wrap = new CircularShift({ channels: 1, bound: 2, frozen: true });
    expect(numbers(wrap.forward(tensor([[9], [-2.5], [1e15 + 1]])).y)).toEqual([1, 1.5, 1]);
  });

  it('says what it expected', () => {
    const of = (circular: number[]) => new CircularShift({ channels: 3, circular });
    expect(() => of([])).toThrow(/circular is empty/);
    expect(() => of([1, 1])).toThrow(
      /circular\[1\] is 1; expected numbers from 0 to 2, none twice/,
    );
    expect(() => of([3])).toThrow(/circular\[0\] is 3/);
    expect(() => new CircularShift({ channels: 1, bound: 0 })).toThrow(ValueError);
  });
});

describe('PeriodicFeatures', () => {
  it('are the same ones a turn further, and stand before the other channels', () => {
    const features = new PeriodicFeatures({ channels: 3, circular: [1], bound: 2 });
    const x = new RandomStream(1).normal([4, 3, 2]);
    const turn = mul(affine(x, 0, 1), tensor([0, 4, 0], [1, 3, 1]));
    const [y, further] = [evaluate(features, x), evaluate(features, add(x, turn))];
    expect(gap(y, further)).toBeLessThan(1e-14);
    expect(y.shape).toEqual([4, 4, 2]);
    const first = numbers(x)[2]! * (Math.PI / 2);
    expect(numbers(y)[0]).toBeCloseTo(Math.sin(first), 14);
    expect(numbers(y)[2]).toBeCloseTo(Math.cos(first), 14);
    expect(numbers(y)[4]).toBe(numbers(x)[0]);
  });
});

describe('Reshape', () => {
  it('flattens by default, and says what it expected', () => {
    const flatten = new Reshape({ from: [2, 3] });
    const { y } = flatten.forward(new RandomStream(1).normal([4, 2, 3]));
    expect(y.shape).toEqual([4, 6]);
    expect(flatten.inverse(y).x.shape).toEqual([4, 2, 3]);
    expect(() => new Reshape({ from: [2, 3], to: [5] })).toThrow(/6 and 5 numbers/);
    expect(() => flatten.forward(zeros([4, 3, 2]))).toThrow(/\[4, 3, 2\]; expected \[N, 2, 3\]/);
    expect(() => flatten.inverse(zeros([4, 5]))).toThrow(ShapeError);
  });
});
