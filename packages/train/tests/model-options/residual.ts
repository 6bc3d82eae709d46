/** Residual maps. */
import type { Json } from '@invnet/layers';
import fc from 'fast-check';
import { config, kernel, type Options, several, shape, size, some } from './draws.ts';

const lipschitz = fc.integer({ min: 1, max: 3 }).map(
  (n): Json => ({
    $type: 'LipschitzBlock',
    layers: [
      { $type: 'LipSwish' },
      { $type: 'SpectralDense', inChannels: n, outChannels: 2, coefficient: 0.8 },
      { $type: 'LipschitzActivation', activation: 'elu' },
      { $type: 'SpectralDense', inChannels: 2, outChannels: n, coefficient: 0.8 },
    ],
  }),
);

export const residual: Options = {
  LipSwish: config('LipSwish'),
  LipschitzActivation: config('LipschitzActivation', {
    activation: fc.constantFrom('elu', 'tanh'),
  }),
  LipschitzBlock: lipschitz,
  SpectralDense: config('SpectralDense', { inChannels: size, outChannels: size }),
  SpectralConv: config('SpectralConv', {
    inChannels: size,
    outChannels: size,
    size: shape,
    kernel: some(kernel),
  }),
  InvertibleResidual: config('InvertibleResidual', {
    block: lipschitz,
    maxIterations: some(fc.constantFrom(50, 100)),
  }),
  Planar: config('Planar', {
    channels: size,
    size: some(shape),
    activation: some(fc.constantFrom('tanh', 'leakyRelu')),
  }),
  Radial: config('Radial', { channels: size, size: some(shape) }),
  TriangularSylvester: config('TriangularSylvester', {
    channels: several,
    units: some(fc.constant(2)),
  }),
  Sylvester: config('Sylvester', { channels: several, units: some(fc.constant(2)) }),
};
