/** Continuous flows and their fields. */
import fc from 'fast-check';
import { config, type Options, size, some } from './draws.ts';

const field = {
  channels: size,
  contextChannels: some(size),
  frequencies: some(size),
};
const smoothField = config('SmoothField', {
  ...field,
  hidden: some(fc.array(size, { maxLength: 2 })),
  activation: some(fc.constantFrom('silu', 'elu', 'tanh')),
  reach: some(fc.constantFrom(0.5, 10)),
});
const divergence = fc.constantFrom('exact', 'hutchinson');

export const continuous: Options = {
  ConditionerField: config('ConditionerField', field),
  SmoothField: smoothField,
  ContinuousFlow: config('ContinuousFlow', {
    field: fc.oneof(config('ConditionerField', field), smoothField),
    solver: some(fc.constant('dormandPrince')),
    steps: some(fc.constant(30)),
    relativeTolerance: some(fc.constant(1e-3)),
    divergence: some(divergence),
  }),
  MidpointFlow: config('MidpointFlow', {
    field: smoothField,
    steps: some(fc.constantFrom(1, 3)),
    maxIterations: some(fc.constantFrom(50, 100)),
    divergence: some(divergence),
  }),
};
