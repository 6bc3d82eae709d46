/** Networks. */
import type { Json } from '@invnet/layers';
import fc from 'fast-check';
import {
  activation,
  affine,
  axes,
  conditioner,
  config,
  hint,
  type Options,
  several,
  shape,
  size,
  some,
  squeeze,
  transformer,
  two,
} from './draws.ts';

const prior = config('LearnedPrior', { classes: some(size) });
const scales = {
  scales: some(fc.constantFrom(1, 2)),
  steps: some(size),
  splitScales: some(fc.boolean()),
};

export const networks: Options = {
  InvertibleUNet: config('InvertibleUNet', {
    channels: several,
    levels: some(fc.constantFrom(1, 2)),
    steps: some(fc.constantFrom(1, 2)),
    hidden: some(size),
    ndims: some(axes),
    transformer: some(transformer),
  }),
  LearnedSqueeze: config('LearnedSqueeze', { channels: size, ndims: some(axes) }),
  RevNet: config('RevNet', {
    channels: size,
    classes: several,
    width: some(fc.constantFrom(2, 4)),
    blocks: some(fc.array(size, { minLength: 1, maxLength: 2 })),
    ndims: some(axes),
  }),
  LearnedPrior: config('LearnedPrior', { classes: some(size), size: some(shape) }),
  Glow: config('Glow', {
    ...affine,
    ...scales,
    channels: several,
    squeeze: some(squeeze),
    frozenConv1x1: some(fc.boolean()),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  ConditionalGlow: config('ConditionalGlow', {
    ...affine,
    ...scales,
    channels: several,
    contextChannels: size,
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  MultiScale: fc.constant({
    $type: 'MultiScale',
    channels: [4],
    squeeze: { $type: 'HaarSqueeze' },
    step: { $named: 'step' },
    scales: 2,
    steps: 1,
  }),
  MultiScaleHint: config('MultiScaleHint', {
    ...hint,
    ...scales,
    channels: several,
    permute: some(fc.constantFrom('none', 'full')),
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  ConditionalHint: config('ConditionalHint', {
    ...hint,
    channels: several,
    conditionChannels: some(several),
    steps: some(size),
    actnorm: some(fc.boolean()),
  }),
  MultiScaleConditionalHint: config('MultiScaleConditionalHint', {
    ...hint,
    ...scales,
    channels: several,
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
  }),
  HyperbolicNetwork: config('HyperbolicNetwork', {
    channels: fc.constant(8),
    architecture: fc.array(
      fc.constantFrom<Json>({}, { hidden: 2 }, { resolution: 'halve' }, { resolution: 'double' }),
      { minLength: 1, maxLength: 1 },
    ),
    ndims: some(axes),
  }),
  GraphNetwork: fc.tuple(two, some(fc.constant(1))).map(
    ([[a, b], axis]): Json => ({
      $type: 'GraphNetwork',
      nodes: [
        { kind: 'input', name: 'x', shape: [a + b, 2] },
        { kind: 'split', name: 'part', inputs: ['x'], sizes: [a, b], ...(axis && { axis }) },
        {
          kind: 'module',
          name: 'a',
          inputs: ['part.0'],
          module: { $type: 'ActNorm', channels: a },
        },
        { kind: 'concat', name: 'join', inputs: ['a', 'part.1'] },
        { kind: 'output', name: 'y', inputs: ['join'] },
      ],
    }),
  ),
  SummarizedNetwork: config('SummarizedNetwork', {
    network: config('ConditionalGlowCoupling', {
      ...affine,
      channels: several,
      contextChannels: size,
    }),
    summary: conditioner,
  }),
  MisfitGradient: config('MisfitGradient', {
    channels: fc.constant(2),
    outChannels: several,
    operator: fc.constant({ $named: 'doubling' }),
    link: some(activation.sigmoid),
    actnorm: some(fc.boolean()),
  }),
  UnrolledLoop: config('UnrolledLoop', {
    channels: some(fc.constant(1)),
    memoryChannels: several,
    iterations: size,
    operator: fc.constant({ $named: 'doubling' }),
    link: some(activation.tanh),
    coupling: some(fc.constantFrom('additive', 'hint')),
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
    actnorm: some(fc.boolean()),
  }),
};
