import {
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
  AdditiveTransformer,
  AffineTransformer,
  ConditionalTransform,
  DenseBlock,
  ElementwiseTransform,
  exp,
  GlowCoupling,
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
