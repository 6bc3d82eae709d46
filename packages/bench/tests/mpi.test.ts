import { expect, test } from 'vitest';
import { describeMpi, measureMpi } from '../src/mpi.ts';

test('bench mpi times one rank, two, and two by themselves', async () => {
  const report = await measureMpi({ turns: 1, steps: 2, warmup: 1, batch: 1, backend: 'wasm' });
  const [one, two, apart] = report.results;
  expect(one!.communication).toBe(0);
  expect(two!.communication).toBeGreaterThan(0);
  expect(two!.communication).toBeLessThan(1);
  expect(apart!.communication).toBe(0);
  expect(two!.imagesPerSecond).toBeCloseTo(2000 / two!.milliseconds);
  expect(describeMpi(report)).toMatch(
    /^Two ranks train \d+\.\d\d times as many images a second, two that .* \d+\.\d\d times\.$/m,
  );
});
