import { expect, test } from 'vitest';
import { describeGpu, measureGpu } from '../src/gpu.ts';

test('times each operation on each backend', async () => {
  // Each kernel is compiled on software, which takes longest.
  const glow = { batch: 1, channels: 2, side: 4, hidden: 4, scales: 1, steps: 1 };
  const sizes = [{ channels: 4, side: 16, glow }];
  const report = await measureGpu({ sizes, repeats: 1, software: true, peers: false });
  expect(report.skipped).toBeUndefined();
  expect(report.notes).toEqual([]);
  expect(report.results).toHaveLength(9);
  for (const { milliseconds, difference } of report.results) {
    expect(milliseconds).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-3);
  }
  expect(describeGpu(report)).toMatch(/Glow step, hidden 4 +invnet, wasm/);
});
