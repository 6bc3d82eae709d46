import {
  add,
  affine,
  ones,
  RandomStream,
  ShapeError,
  setBackend,
  slice,
  sub,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  AdditiveTransformer,
  AffineTransformer,
  ConditionalTransform,
  DenseBlock,
  ElementwiseTransform,
  exp,
  GlowCoupling,
  LinearSpline,
  QuadraticSpline,
  RationalQuadraticSpline,
  relu,
  type Transformer,
  TransformerCoupling,
} from '../src/index.ts';

beforeEach(() => setBackend('reference', { dtype: 'float64' }));

const numbers = (t: Tensor): number[] => Array.from(t.dataSync());
const gap = (a: Tensor, b: Tensor) => Math.max(...numbers(sub(a, b)).map(Math.abs));
const random = () => new RandomStream(3);

describe('TransformerCoupling', () => {
  it('is a GlowCoupling with an affine transformer', () => {
    const sizes = { channels: 5, hidden: 4, ndims: 1, split: [2, 3], moves: 'first' } as const;
    const scaleFunction = exp();
    const transformer = new AffineTransformer({ scaleFunction });
    const glow = new GlowCoupling({ ...sizes, scaleFunction, random: random() });
    const coupling = new TransformerCoupling({ ...sizes, transformer, random: random() });
    const x = random().normal([2, 5, 3]);
    const [a, b] = [glow.forward(x), coupling.forward(x)];
    expect(gap(a.y, b.y)).toBe(0);
    expect(gap(a.logdet, b.logdet)).toBe(0);
  });

  it('starts near the identity', () => {
    const transformer = new AdditiveTransformer();
    const coupling = new TransformerCoupling({ channels: 2, transformer, ndims: 0 });
    const x = random().normal([8, 2]);
    expect(gap(coupling.forward(x).y, x)).toBeLessThan(0.5);
  });

  it('refuses what cannot be', () => {
    const transformer = new AffineTransformer();
    const options = { channels: 4, transformer, hidden: 2, ndims: 0 };
    const made = (other: object) => () => new TransformerCoupling({ ...options, ...other });
    expect(made({ channels: 1 })).toThrow('channels is 1; expected a whole number of at least 2');
    expect(made({ split: [2, 3] })).toThrow(
      'split is [2, 3]; expected two numbers that add up to 4',
    );
    expect(made({ moves: 'both' })).toThrow(ValueError);
    expect(made({ transformer: relu() as unknown as Transformer })).toThrow(
      'expected a transformer',
    );
    const conditioner = new DenseBlock({ inChannels: 2, hidden: 2, outChannels: 3 });
    const coupling = new TransformerCoupling({ channels: 4, transformer, conditioner });
    expect(() => coupling.forward(random().normal([2, 4]))).toThrow(
      'the conditioner returned [2, 3]; expected [2, 4]: 2 parameters of AffineTransformer for each of 2 channels',
    );
  });
});

describe('ConditionalTransform', () => {
  it('needs a context, and something to make parameters of it', () => {
    const transformer = new AffineTransformer();
    expect(() => new ConditionalTransform({ channels: 1, transformer })).toThrow(
      'expected a conditioner, or contextChannels to make one; got neither',
    );
    const layer = new ConditionalTransform({
      channels: 1,
      transformer,
      contextChannels: 2,
      ndims: 0,
    });
    const x = random().normal([2, 1]);
    expect(() => layer.forward(x)).toThrow('expected a context, got none');
    expect(() => layer.forward(random().normal([2, 3]), random().normal([2, 2]))).toThrow(
      ShapeError,
    );
  });
});

describe('ElementwiseTransform', () => {
  it('starts as the identity, and has parameters for channels, or for all numbers', () => {
    const transformer = new AffineTransformer();
    const x = random().normal([2, 3, 4]);
    const shared = new ElementwiseTransform({ channels: 3, transformer });
    expect(gap(shared.forward(x).y, x)).toBeLessThan(1e-15);
    expect(shared.p.shape).toEqual([6]);
    const own = new ElementwiseTransform({ channels: 3, size: [4], transformer });
    expect(own.p.shape).toEqual([6, 4]);
    expect(() => own.forward(random().normal([2, 3, 5]))).toThrow('expected [N, 3, 4]');
  });

  it('lays parameter j of channel c at j·C + c', () => {
    const layer = new ElementwiseTransform({ channels: 2, transformer: new AffineTransformer() });
    layer.p.assign(tensor([0, 0, 10, 20], [4]));
    const x = random().normal([2, 2]);
    const shifts = numbers(sub(layer.forward(x).y, x)).map(Math.round);
    expect(shifts).toEqual([10, 20, 10, 20]);
  });
});

describe.each([
  new RationalQuadraticSpline({ bins: 5 }),
  new RationalQuadraticSpline({ bins: 5, tails: 'linear' }),
  new RationalQuadraticSpline({ bins: 5, tails: 'circular', softClamp: 4 }),
  new QuadraticSpline({ bins: 5 }),
  new QuadraticSpline({ bins: 5, tails: 'linear' }),
  new LinearSpline({ bins: 5 }),
])('$type, $tails', (f) => {
  it('is the identity for zeros, and maps its interval onto itself for all others', () => {
    const x = tensor([-9, -3, -2.9, 0, 1.1, 3, 9], [7, 1]);
    expect(gap(f.apply(x, zeros([7, f.size])).y, x)).toBeLessThan(1e-12);
    const p = affine(random().normal([7, f.size]), 2);
    const y = numbers(f.apply(x, p).y);
    expect(y[1]).toBeCloseTo(-3, 12);
    expect(y[5]).toBeCloseTo(3, 12);
    if (f.tails !== 'linear') expect([y[0], y[6]]).toEqual([-9, 9]);
    const rising = f.apply(x, add(zeros([7, f.size]), slice(p, 0, 0, 1)));
    expect(numbers(rising.y)).toEqual(numbers(rising.y).toSorted((a, b) => a - b));
  });

  it('has finite values and gradients far outside, and for parameters as large', async () => {
    for (const place of [{ dtype: 'float64' }, { dtype: 'float32' }, undefined] as const) {
      await (place ? setBackend('reference', place) : setBackend('wasm'));
      const x = tensor([-1e30, 1e30, 3.0000001, -3, 0.1, 2], [6, 1]);
      const p = affine(random().normal([6, f.size]), 300);
      const one = ones([6, 1]);
      const { y, logdet } = f.apply(x, p);
      const back = f.applyBackward(y, p, one, ones([6]));
      const inverse = f.invertBackward(x, p, one, ones([6]));
      const found = [y, logdet, ...Object.values(back), ...Object.values(inverse)].flatMap(numbers);
      expect(found.filter((v) => !Number.isFinite(v))).toEqual([]);
    }
  });

  it('stays within its interval in float32, where neighbouring bins differ most', async () => {
    await setBackend('reference', { dtype: 'float32' });
    const y = random().uniform([1000, 1], -3, 3);
    const p = affine(random().normal([1000, f.size]), 1e4);
    const { x, logdet } = f.invert(y, p);
    const { dx } = f.applyBackward(y, p, ones([1000, 1]), ones([1000]));
    const odd = [x, logdet, dx].flatMap(numbers).filter((v) => !Number.isFinite(v));
    expect([...odd, ...numbers(x).filter((v) => Math.abs(v) > 3.000001)]).toEqual([]);
  });
});

describe('splines', () => {
  it('refuse bins that cannot be', () => {
    expect(() => new RationalQuadraticSpline({ bins: 1 })).toThrow(
      'bins is 1; expected a whole number',
    );
    expect(() => new QuadraticSpline({ bins: 1000 })).toThrow(
      'minWidth is 0.001 for 1000 bins; expected less than 0.001',
    );
    expect(() => new LinearSpline({ bins: 4, minHeight: 0.25 })).toThrow('minHeight is 0.25 for 4');
    expect(() => new RationalQuadraticSpline({ minSlope: 1 })).toThrow(
      'minSlope is 1; expected a finite number below 1',
    );
    expect(() => new RationalQuadraticSpline({ bound: [1, 1] })).toThrow('bound[1] is 1');
    expect(() => new RationalQuadraticSpline({ bound: -1 })).toThrow('bound is -1');
    expect(() => new LinearSpline({ bound: [1] as unknown as [number, number] })).toThrow(
      'expected a number B, of [−B, B], or a pair [low, high]',
    );
    expect(() => new QuadraticSpline({ tails: 'circular' as 'linear' })).toThrow('tails');
  });

  it('close on the circle with equal slopes', () => {
    const f = new RationalQuadraticSpline({ bins: 4, bound: Math.PI, tails: 'circular' });
    const x = tensor([-Math.PI, Math.PI], [2, 1]);
    const p = random().normal([1, f.size]);
    const [low, high] = numbers(f.apply(x, add(zeros([2, f.size]), p)).logdet);
    expect(low).toBeCloseTo(high!, 12);
    expect(low).not.toBeCloseTo(0, 2);
  });
});
