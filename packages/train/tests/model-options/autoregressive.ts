/** Autoregressive maps. */
import fc from 'fast-check';
import { activation, config, exponential, type Options, several, size, some } from './draws.ts';

export const autoregressive: Options = {
  Autoregressive: config('Autoregressive', {
    channels: several,
    hidden: some(fc.array(size, { minLength: 1, maxLength: 2 })),
    transformer: some(config('AffineTransformer', { scaleFunction: some(exponential) })),
    order: some(fc.constantFrom('reversed', 'random')),
  }),
  MadeBlock: config('MadeBlock', {
    channels: fc.constant(3),
    size,
    hidden: some(fc.constant([2, 2])),
    blocks: some(fc.constantFrom('plain', 'residual', 'preactivated')),
    activation: some(activation.tanh),
    contextChannels: some(size),
    context: some(fc.constantFrom('joined', 'added')),
    adjacency: some(
      fc.constant([
        [false, true, false],
        [false, false, false],
        [true, true, false],
      ]),
    ),
  }),
};
