/** Rows of transformers, in what holds them. */
import {
  AdditiveTransformer,
  AffineTransformer,
  ConditionalTransform,
  Dense,
  ElementwiseTransform,
  exp,
  LinearSpline,
  QuadraticSpline,
  RationalQuadraticSpline,
  ScalingTransformer,
  type Transformer,
  TransformerCoupling,
  type TransformerCouplingOptions,
} from '@invnet/layers';
import { odd, type Row, random } from '../row.ts';

export function transformerRows(ndims: number): Row[] {
  const size = odd(ndims);
  // As rows of GlowCoupling have them, whose kernels on gpu serve here as well.
  const sizes = () => ({ hidden: 4, ndims, random: random() });
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
  const spline = { bins: 3, bound: [-1, 1.5], minSlope: 0.01 } as const;
  // Positions are numbers beside each other, along however many axes they lie: each row stands in few ranks, and
  // in 2D what runs on gpu as well.
  const held: Row[] = [
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
    {
      name: 'ConditionalTransform of a vector',
      shape: [2, 2, ...size],
      context: [2, 3],
      make: () =>
        new ConditionalTransform({
          channels: 2,
          transformer: new AffineTransformer(),
          conditioner: new Dense({ inChannels: 3, outChannels: 4, random: random() }),
        }),
    },
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
  const fused: Row[] = [
    coupling('affine', () => ({})),
    coupling('rational-quadratic', () => ({
      transformer: new RationalQuadraticSpline({ bins: 3, bound: 2.5 }),
    })),
    alone(
      'rational-quadratic, sloped tails',
      () => new RationalQuadraticSpline({ ...spline, tails: 'linear' }),
    ),
    alone(
      'rational-quadratic, circular',
      () => new RationalQuadraticSpline({ ...spline, tails: 'circular', softClamp: 6.9 }),
    ),
  ];
  if (ndims === 0) return [...held, ...fused];
  if (ndims === 1) {
    return [
      ...held,
      alone('scaling', () => new ScalingTransformer()),
      alone('affine by exp', () => new AffineTransformer({ scaleFunction: exp() })),
      alone(
        'quadratic, sloped tails',
        () => new QuadraticSpline({ bins: 3, bound: 1.5, tails: 'linear', minSlope: 0.01 }),
      ),
      alone('linear, sloped tails', () => new LinearSpline({ bins: 3, bound: 1, tails: 'linear' })),
      {
        name: 'ElementwiseTransform, additive for each number',
        shape: [2, 2, ...size],
        make: () =>
          new ElementwiseTransform({ channels: 2, size, transformer: new AdditiveTransformer() }),
      },
    ];
  }
  if (ndims === 3) return [];
  return [
    ...fused,
    alone('quadratic', () => new QuadraticSpline({ bins: 3, bound: [-1, 1.5] })),
    alone('linear', () => new LinearSpline({ bins: 3, bound: 1 })),
  ];
}
