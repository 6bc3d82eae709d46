/** Linear maps. */
import fc from 'fast-check';
import { config, norm, type Options, several, size, some } from './draws.ts';

export const linear: Options = {
  ActNorm: norm,
  Standardization: config('Standardization', { channels: size }),
  AffineLayer: config('AffineLayer', {
    channels: size,
    size: some(fc.array(size, { maxLength: 3 })),
  }),
  Conv1x1: config('Conv1x1', {
    channels: size,
    parametrization: some(fc.constantFrom('householder', 'plu')),
    frozen: some(fc.boolean()),
  }),
  Permutation: several.chain((channels) =>
    config('Permutation', {
      channels: fc.constant(channels),
      order: fc.shuffledSubarray([...Array(channels).keys()], { minLength: channels }),
    }),
  ),
  Householder: config('Householder', {
    channels: size,
    reflections: some(size),
    frozen: some(fc.boolean()),
  }),
  ConditionalHouseholder: config('ConditionalHouseholder', {
    channels: size,
    reflections: some(size),
  }),
  Orthogonal: config('Orthogonal', {
    channels: fc.constant(2),
    map: some(fc.constantFrom('exponential', 'cayley')),
    start: some(fc.constant([0, 1, 1, 0])),
    frozen: some(fc.boolean()),
  }),
  InvertibleBatchNorm: config('InvertibleBatchNorm', {
    channels: size,
    momentum: some(fc.constantFrom(0.1, 0.5)),
  }),
};
