import { getBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { describeSplines, measureSplines } from '../src/splines.ts';

test('bench splines times both kinds of couplings on each backend, and leaves the backend as it was', async () => {
  const before = getBackend();
  const chosen = [{ batch: 8, features: 4, hidden: 5, bins: 3 }];
  const report = await measureSplines({ threads: 1, repeats: 1, peers: false, chosen });
  expect(getBackend()).toBe(before);
  expect(report.results.map(({ library, backend }) => `${library}, ${backend}`).sort()).toEqual([
    'invnet affine, native, 1 thread',
    'invnet affine, wasm, 1 thread',
    'invnet splines, native, 1 thread',
    'invnet splines, wasm, 1 thread',
  ]);
  expect(describeSplines(report)).toMatch(/hidden 5, 3 bins: wasm, 1 thread +[\d.]+ /);
});
