/** Rows of couplings of two sides, of free parts and masks, and of blocks made of them. */
import {
  AffineTransformer,
  AllInOneBlock,
  type AllInOneBlockOptions,
  atanClamp,
  type Bijection,
  type Conditioner,
  defaultConditioner,
  ElementwiseTransform,
  exp,
  JoinedConditioners,
  MaskedCoupling,
  type MaskedCouplingOptions,
  sigmoid,
  softplusScale,
  TransformerCoupling,
  TwoSidedCoupling,
  VolumePreservingTransformer,
} from '@invnet/layers';
import { odd, type Row, random } from '../row.ts';

export function couplingBlockRows(ndims: number): Row[] {
  const size = odd(ndims);
  const sizes = () => ({ hidden: 3, ndims, random: random() });
  const row = (name: string, channels: number, make: () => Bijection, context = 0): Row => ({
    name,
    shape: [2, channels, ...size],
    ...(context > 0 && { context: [2, context, ...size] }),
    make,
  });
  const masked = (name: string, options: MaskedCouplingOptions): Row =>
    row(
      `MaskedCoupling, ${name}`,
      options.channels,
      () => new MaskedCoupling({ ...sizes(), ...options }),
      options.contextChannels,
    );
  const block = (name: string, options: Omit<AllInOneBlockOptions, 'channels'>): Row =>
    row(
      `AllInOneBlock, ${name}`,
      3,
      () => new AllInOneBlock({ ...sizes(), channels: 3, ...options }),
      options.contextChannels,
    );
  // Kernels for images are compiled anew for each shape, so what ranks have no part in is here once.
  if (ndims === 1) {
    const mask = { shape: [3], stays: [0, 1, 0] };
    return [masked('listed channels, inverted', { channels: 3, mask, inverted: true })];
  }
  const preserving = (over: 'channels' | 'sample'): Row => {
    const scaleFunction = sigmoid({ low: 0.5, high: 3 });
    const transformer = new VolumePreservingTransformer({ scaleFunction, over });
    return row(
      `ElementwiseTransform of a VolumePreservingTransformer over ${over}`,
      3,
      () => new ElementwiseTransform({ channels: 3, transformer }),
    );
  };
  if (ndims === 2) {
    const checkerboard = { channels: 1, contextChannels: 1 };
    return [
      preserving('channels'),
      preserving('sample'),
      masked('checkerboard of one channel with context', checkerboard),
    ];
  }
  if (ndims === 3) return [];
  const clamped = new AffineTransformer({ scaleFunction: atanClamp({ clamp: 1, rate: 1 }) });
  const four = (inChannels: number, outChannels: number): Conditioner => {
    const part = () =>
      defaultConditioner({ ...sizes(), inChannels, outChannels, contextChannels: 2 });
    return new JoinedConditioners({ parts: { scale: part(), shift: part() } });
  };
  const transformer = new AffineTransformer({
    scaleFunction: softplusScale({ factor: 2, rate: 0.5 }),
  });
  return [
    row('TwoSidedCoupling', 3, () => new TwoSidedCoupling({ ...sizes(), channels: 3 })),
    row('TwoSidedCoupling of a VolumePreservingTransformer', 5, () => {
      const transformer = new VolumePreservingTransformer({ scaleFunction: exp() });
      return new TwoSidedCoupling({ ...sizes(), channels: 5, transformer });
    }),
    row(
      'TwoSidedCoupling of four networks and listed channels, with context',
      5,
      () =>
        new TwoSidedCoupling({
          channels: 5,
          split: { first: [3, 0] },
          transformer: clamped,
          conditioner: [four(3, 2), four(2, 3)],
        }),
      2,
    ),
    row(
      'TransformerCoupling of a third of the channels',
      3,
      () =>
        new TransformerCoupling({ ...sizes(), channels: 3, split: 1 / 3, transformer: clamped }),
    ),
    masked('random, of a scale that is not 1 at zero', {
      channels: 5,
      mask: { shape: [5], seed: 2 },
      transformer,
    }),
    block('hard', {}),
    block('soft, with reflections, undone before, of a logistic scale, with context', {
      contextChannels: 2,
      permutation: 'soft',
      reflections: 2,
      permutesBefore: true,
      globalScale: 'sigmoid',
      globalScaleStart: 0.7,
    }),
    block('volume preserving', { volumePreserving: true, clamp: 1 }),
    block('of an exponential scale', { globalScale: 'exp' }),
  ];
}
