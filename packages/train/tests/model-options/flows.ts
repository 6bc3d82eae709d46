/** Flows and their base distributions. */
import type { Json } from '@invnet/layers';
import fc from 'fast-check';
import { bound, config, norm, type Options, size, some } from './draws.ts';

const entries = { channels: size, size: some(fc.array(size, { maxLength: 2 })) };
const bases = {
  StandardNormal: config('StandardNormal'),
  Normal: config('Normal', {
    ...entries,
    mean: some(bound),
    deviation: some(bound),
    frozen: some(fc.boolean()),
  }),
  MultivariateNormal: config('MultivariateNormal', { ...entries, frozen: some(fc.boolean()) }),
  Uniform: config('Uniform', {
    low: some(fc.constantFrom<Json>(-1, [-2, -1])),
    high: some(fc.constantFrom<Json>(1, [2, 3])),
  }),
  NormalMixture: config('NormalMixture', { ...entries, components: size, spread: some(bound) }),
  StudentT: config('StudentT', { ...entries, degrees: some(bound), scale: some(bound) }),
  ClassConditional: config('ClassConditional', { ...entries, classes: size, spread: some(bound) }),
  ConditionalNormal: config('ConditionalNormal', {
    channels: size,
    contextChannels: size,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
  }),
};

export const flows: Options = {
  ...bases,
  MixtureFlow: config('MixtureFlow', {
    components: fc.array(
      fc.oneof(bases.Normal, config('Flow', { network: norm, base: some(bases.StudentT) })),
      { minLength: 1, maxLength: 3 },
    ),
    frozen: some(fc.boolean()),
  }),
  Flow: config('Flow', { network: norm, base: some(fc.oneof(...Object.values(bases))) }),
  VariationalDequantization: config('VariationalDequantization', {
    flow: config('Flow', { network: norm }),
    noise: config('Flow', { network: norm }),
    levels: some(fc.integer({ min: 2, max: 2 ** 16 })),
  }),
};
