import { setBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { describeScaling, measureScaling } from '../src/scaling.ts';

test('memory grows linearly with the volume, and not with depth', async () => {
  await setBackend('wasm');
  const report = await measureScaling({
    hidden: 4,
    sides: [8, 16],
    depths: [1, 8],
    depthSide: 8,
    large: { side: 8, steps: 2 },
  });
  const [shallow, deep, small, wide] = report.results;
  expect(deep!.peak).toBeLessThanOrEqual(1.1 * shallow!.peak);
  expect(wide!.peak).toBeLessThanOrEqual(1.1 * 8 * small!.peak);
  expect(describeScaling(report)).toContain('8³ voxels at K = 2');
});
