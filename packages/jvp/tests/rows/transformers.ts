/** Rows of transformers, in what holds them. */
import {
  AdditiveTransformer,
  AffineTransformer,
  ConditionalTransform,
  ElementwiseTransform,
  exp,
  LinearSpline,
  QuadraticSpline,
  RationalQuadraticSpline,
  ScalingTransformer,
  sigmoid,
  type Transformer,
  TransformerCoupling,
  type TransformerCouplingOptions,
} from '@invnet/layers';
import { odd, type Row, random } from '../row.ts';

export function transformerRows(ndims: number): Row[] {
  const size = odd(ndims);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const alone = (name: string, transformer: () => Transformer): Row => ({
    name: `ElementwiseTransform, ${name}`,
    shape: [2, 2, ...size],
    make: () => new ElementwiseTransform({ channels: 2, transformer: transformer() }),
  });
  const coupling = (name: string, options: () => Partial<TransformerCouplingOptions>): Row => ({
    name: `TransformerCoupling, ${name}`,
    shape: [2, 3, ...size],
    make: () =>
      new TransformerCoupling({
        ...sizes(),
        channels: 3,
        transformer: new AffineTransformer(),
        ...options(),
      }),
  });
  const rows: Row[] = [
    {
      name: 'ConditionalTransform, one channel',
      shape: [2, 1, ...size],
      context: [2, 3, ...size],
      make: () => {
        const transformer = new AffineTransformer({ scaleFunction: exp() });
        return new ConditionalTransform({
          ...sizes(),
          channels: 1,
          contextChannels: 3,
          transformer,
        });
      },
    },
    coupling('affine', () => ({})),
    coupling('rational-quadratic', () => ({
      transformer: new RationalQuadraticSpline({ bins: 3, bound: 2.5 }),
    })),
    {
      ...coupling('additive, first two moved, with context', () => ({
        transformer: new AdditiveTransformer(),
        split: [2, 1],
        moves: 'first',
        contextChannels: 2,
      })),
      context: [2, 2, ...size],
    },
  ];
  if (ndims % 2 === 1) return rows;
  const spline = { bins: 3, bound: [-1, 1.5], minSlope: 0.01 } as const;
  return [
    ...rows,
    alone('scaling', () => new ScalingTransformer()),
    alone('affine by exp', () => new AffineTransformer({ scaleFunction: exp() })),
    alone(
      'affine by sigmoid',
      () => new AffineTransformer({ scaleFunction: sigmoid({ low: 0.2 }) }),
    ),
    alone(
      'rational-quadratic, sloped tails',
      () => new RationalQuadraticSpline({ ...spline, tails: 'linear' }),
    ),
    alone(
      'rational-quadratic, circular',
      () => new RationalQuadraticSpline({ ...spline, tails: 'circular', softClamp: 6.9 }),
    ),
    alone('quadratic', () => new QuadraticSpline({ bins: 3, bound: [-1, 1.5] })),
    alone(
      'quadratic, sloped tails',
      () => new QuadraticSpline({ bins: 3, bound: 1.5, tails: 'linear', minSlope: 0.01 }),
    ),
    alone('linear', () => new LinearSpline({ bins: 3, bound: 1 })),
    alone('linear, sloped tails', () => new LinearSpline({ bins: 3, bound: 1, tails: 'linear' })),
    {
      name: 'ElementwiseTransform, additive for each number',
      shape: [2, 2, ...size],
      make: () =>
        new ElementwiseTransform({ channels: 2, size, transformer: new AdditiveTransformer() }),
    },
  ];
}
