/** Squeezes. */
import fc from 'fast-check';
import { config, type Options, some } from './draws.ts';

export const squeezes: Options = {
  ShuffleSqueeze: config('ShuffleSqueeze', {
    pattern: some(fc.constantFrom('column', 'patch')),
    order: some(fc.constantFrom('channel', 'position')),
  }),
  HaarSqueeze: config('HaarSqueeze'),
  WaveletSqueeze: config('WaveletSqueeze', { wavelet: fc.constantFrom('db1', 'db10', 'sym3') }),
};
