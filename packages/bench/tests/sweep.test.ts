import { expect, test } from 'vitest';
import { convFlops, describeCase } from '../src/peers/conv-case.ts';
import { describeSweep, drawCases, measureSweep } from '../src/sweep.ts';

test('draws the same shapes each time, of all kinds, within its bounds', () => {
  const bounds: [number, number] = [1e5, 1e8];
  const cases = drawCases(2, bounds);
  expect(drawCases(2, bounds)).toEqual(cases);
  expect(new Set(cases.map(describeCase)).size).toBe(cases.length);
  expect(cases).toHaveLength(3 * 4 * 3 * 2);
  for (const c of cases) {
    expect(convFlops(c)).toBeGreaterThanOrEqual(bounds[0]);
    expect(convFlops(c)).toBeLessThanOrEqual(bounds[1]);
  }
});

test('tells the worst ratios of each kind', async () => {
  const flops: [number, number] = [1e2, 1e4];
  const report = await measureSweep({ perCombination: 1, told: 2, threads: 2, flops });
  const kinds = Object.keys(report.worst);
  expect(kinds).toContain('wasm, 2 threads over one: filter gradient');
  expect(kinds).toContain('wasm, strided over forward: input gradient');
  for (const ratios of Object.values(report.worst)) {
    expect(ratios).toHaveLength(2);
    expect(ratios[0]!.value).toBeGreaterThanOrEqual(ratios[1]!.value);
    expect(ratios[0]!.value).toBeCloseTo(ratios[0]!.above / ratios[0]!.below);
  }
  expect(report.figures).toHaveLength(kinds.length);
  expect(describeSweep(report)).toMatch(
    /wasm, strided over forward: input gradient; \d+ of 24 above 1.5/,
  );
});
