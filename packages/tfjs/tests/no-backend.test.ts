/** tfjs without a backend. */
import { ActNorm } from '@invnet/layers';
import { BackendError } from '@invnet/tensor';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { fromTfjs, toTfjs } from '../src/index.ts';

it('is told', () => {
  expect(() => toTfjs(new ActNorm({ channels: 2 }))).toThrow(BackendError);
  expect(() => fromTfjs({ apply: (x: Tensor) => x })).toThrow(/tfjs-backend-cpu/);
});
