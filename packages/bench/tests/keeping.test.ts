import { setBackend } from '@invnet/tensor';
import { expect, test } from 'vitest';
import { describeKeeping, measureKeeping } from '../src/keeping.ts';

test('with nothing kept memory does not grow with depth; else it does, and with all the most', async () => {
  await setBackend('wasm');
  const glow = {
    kind: 'glow',
    batch: 2,
    channels: 1,
    side: 16,
    hidden: 8,
    scales: 1,
    ndims: 2,
  } as const;
  const chosen = { shallow: { ...glow, steps: 2 }, deep: { ...glow, steps: 16 } };
  const report = await measureKeeping({ chosen, deep: ['RevNet'], batch: 4, repeats: 1 });
  const peak = (network: string, keep: string) =>
    report.results.find((r) => r.network === network && r.keep === keep)!.peak;
  expect(peak('deep', 'nothing')).toBeLessThanOrEqual(1.1 * peak('shallow', 'nothing'));
  for (const keep of ['inputs', 'all']) {
    expect(peak('deep', keep)).toBeGreaterThan(2 * peak('shallow', keep));
  }
  expect(peak('deep', 'all')).toBeGreaterThan(peak('deep', 'inputs'));
  expect(peak('RevNet', 'inputs')).toBeGreaterThan(2 * peak('RevNet', 'nothing'));
  expect(describeKeeping(report)).toMatch(
    /deep: Glow .* 16 steps\n\nkeep .*\n.*\nnothing .* 1.00 /,
  );
});
