import { getBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { describeWaves, measureWaves } from '../src/waves.ts';

test('bench waves times each operation on each backend, and leaves the backend as it was', async () => {
  const before = getBackend();
  const cases = [{ size: [10, 12], samples: 2, steps: 10 }] as const;
  const report = await measureWaves({ threads: 2, repeats: 2, cases });
  expect(getBackend()).toBe(before);
  expect(report.results).toHaveLength(2 * 2 * 3);
  for (const { updates, milliseconds, fastest, slowest } of report.results) {
    // 50 × 52 cells with the border.
    expect(updates).toBeCloseTo((2 * 10 * 50 * 52) / milliseconds / 1e3);
    expect(fastest).toBeLessThanOrEqual(milliseconds);
    expect(slowest).toBeGreaterThanOrEqual(milliseconds);
  }
  expect(report.figures[0]?.name).toBe('modelling, 2 × 10 × 12, 10 steps, wasm, 1 thread');
  expect(describeWaves(report)).toMatch(/^2 × 10 × 12, 10 steps: adjoint( +\d+){4}$/m);
});
