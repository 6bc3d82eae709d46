/** Combinators. */
import type { Json } from '@invnet/layers';
import fc from 'fast-check';
import { additive, axes, bijection, config, type Options, shape, some, two } from './draws.ts';

export const combinators: Options = {
  ChannelHalves: config('ChannelHalves', { inner: additive, channels: two }),
  FirstHalf: config('FirstHalf', { inner: bijection }),
  Flattened: config('Flattened', { inner: additive, inputShapes: fc.tuple(shape, shape) }),
  Identity: config('Identity'),
  JoinedChannels: config('JoinedChannels', { inner: bijection, channels: two }),
  Parallel: config('Parallel', { maps: fc.record({ data: bijection, condition: bijection }) }),
  Reversed: config('Reversed', { inner: bijection }),
  Sequential: fc.array(bijection, { minLength: 1, maxLength: 4 }).chain((layers) =>
    fc.boolean().map((byName): Json => {
      const names = byName ? { names: layers.map((_, i) => `layer${i}`) } : {};
      return { $type: 'Sequential', ...names, layers };
    }),
  ),
  Swapped: config('Swapped', { inner: additive }),
  Unflattened: config('Unflattened', { inner: bijection, shapes: fc.tuple(shape, shape) }),
  Reshape: config('Reshape', { from: fc.constant([2, 6]), to: some(fc.constant([3, 4])) }),
  AxisHalves: config('AxisHalves', { inner: additive, axis: axes }),
  CustomBijection: config('CustomBijection', { parts: fc.constant({ $named: 'own' }) }),
};
