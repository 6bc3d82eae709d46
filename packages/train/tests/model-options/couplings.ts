/** Couplings. */
import type { Json } from '@invnet/layers';
import fc, { type Arbitrary } from 'fast-check';
import {
  additive,
  affine,
  axes,
  bijection,
  bound,
  conditioner,
  config,
  exponential,
  hint,
  type Options,
  scale,
  several,
  size,
  some,
  transformer,
  two,
} from './draws.ts';

/** The channels of a coupling, and ways to part them. */
const splitChannels = ($type: string, more: Record<string, Arbitrary<unknown>>) =>
  several.chain((channels) =>
    config($type, {
      channels: fc.constant(channels),
      split: some(
        fc.oneof(
          fc.integer({ min: 1, max: channels - 1 }).map((a) => [a, channels - a]),
          fc.constant({ first: [channels - 1] }),
        ),
      ),
      hidden: some(size),
      ndims: some(fc.integer({ min: 0, max: 3 })),
      contextChannels: some(size),
      ...more,
    }),
  );
const parted = ($type: string, more: Record<string, Arbitrary<unknown>>) =>
  several.chain((channels) =>
    config($type, {
      ...affine,
      channels: fc.constant(channels),
      split: some(fc.integer({ min: 1, max: channels - 1 }).map((a) => [a, channels - a])),
      moves: some(fc.constantFrom('first', 'second')),
      scaleFunction: some(fc.oneof(scale, exponential)),
      ...more,
    }),
  );

export const couplings: Options = {
  AdditiveCoupling: additive,
  BasicCoupling: config('BasicCoupling', {
    ...affine,
    channels: two,
    conditioner: some(conditioner),
  }),
  ConditionalGlowCoupling: parted('ConditionalGlowCoupling', { contextChannels: size }),
  ConditionalHintCoupling: config('ConditionalHintCoupling', {
    ...hint,
    channels: several,
    conditionChannels: some(several),
    permute: some(fc.boolean()),
  }),
  GlowCoupling: parted('GlowCoupling', { conditioner: some(conditioner) }),
  HintCoupling: fc.oneof(
    config('HintCoupling', {
      ...hint,
      channels: several,
      permute: some(fc.constantFrom('none', 'lower', 'both', 'full')),
      depth: some(fc.constant(1)),
    }),
    config('HintCoupling', {
      ...affine,
      channels: fc.constantFrom(4, 8),
      shared: fc.constant(true),
    }),
  ),
  HyperbolicLayer: config('HyperbolicLayer', {
    channels: fc.constant(8),
    hidden: some(size),
    ndims: some(axes),
    resolution: some(fc.constantFrom('keep', 'halve', 'double')),
    stepSize: some(bound),
  }),
  IrimCoupling: config('IrimCoupling', { channels: several, conditioner: some(conditioner) }),
  Leapfrog: config('Leapfrog', {
    force: config('SymmetricBlock', { channels: size }),
    stepSize: bound,
  }),
  RecursiveCoupling: config('RecursiveCoupling', {
    first: bijection,
    second: bijection,
    coupling: additive,
  }),
  ConditionalTransform: config('ConditionalTransform', {
    channels: size,
    transformer,
    contextChannels: size,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
  }),
  TransformerCoupling: splitChannels('TransformerCoupling', {
    transformer,
    moves: some(fc.constantFrom('first', 'second')),
  }),
  TwoSidedCoupling: splitChannels('TwoSidedCoupling', { transformer: some(transformer) }),
  MaskedCoupling: config('MaskedCoupling', {
    channels: fc.constant(2),
    mask: some(fc.constantFrom<Json>('checkerboard', { shape: [2], seed: 3 })),
    inverted: some(fc.boolean()),
    transformer: some(transformer),
    hidden: some(size),
    contextChannels: some(size),
  }),
  AllInOneBlock: config('AllInOneBlock', {
    channels: several,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
    contextChannels: some(size),
    clamp: some(bound),
    volumePreserving: some(fc.boolean()),
    globalScale: some(fc.constantFrom('softplus', 'sigmoid', 'exp')),
    permutation: some(fc.constantFrom('hard', 'soft')),
    reflections: some(fc.constantFrom(0, 2)),
    permutesBefore: some(fc.boolean()),
  }),
};
