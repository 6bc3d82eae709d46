/** Elementwise maps and their activations. */
import fc from 'fast-check';
import { activation, bound, config, type Options, several, size, some } from './draws.ts';

export const elementwise: Options = {
  ...activation,
  Elementwise: config('Elementwise', {
    activation: fc.oneof(activation.sigmoid, activation.tanh, activation.leakyRelu),
  }),
  Logit: config('Logit', { lambda: some(fc.double({ min: 0.01, max: 0.4, noNaN: true })) }),
  Box: config('Box', { low: fc.constant([-1, 0]), high: fc.constant([1, 2]) }),
  CircularShift: config('CircularShift', {
    channels: fc.constant(3),
    circular: some(fc.constant([0, 2])),
    bound: some(bound),
    shift: some(bound),
    frozen: some(fc.boolean()),
  }),
  LearnedSlopes: config('LearnedSlopes', {
    channels: size,
    above: some(bound),
    below: some(bound),
    frozen: some(fc.boolean()),
  }),
  Ordered: config('Ordered', {
    channels: several,
    gap: some(fc.oneof(config('exp'), config('softplus'))),
  }),
  StickBreaking: config('StickBreaking', { channels: size }),
};
