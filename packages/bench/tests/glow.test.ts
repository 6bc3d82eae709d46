import { expect, test } from 'vitest';
import { convolutionFlops, describeGlow, measureGlow } from '../src/glow.ts';

const sizes = { batch: 2, channels: 1, side: 8, hidden: 8, scales: 2, steps: 2 };

test('times a step and its parts on one thread and two, with the same bits', async () => {
  const report = await measureGlow({ sizes, threads: 2, repeats: 2, peers: false });
  expect(report.notes).toEqual([]);
  expect(report.results).toHaveLength(6);
  expect(report.equal).toBe(true);
  expect(report.speedup).toBeGreaterThan(0);
  expect(report.share).toBeGreaterThan(0);
  expect(describeGlow(report)).toContain('equal bit for bit');
});

test('counts the flops of the convolutions', () => {
  // One scale, one step: 4 channels on 16 positions, 2 → 8 → 8 → 4.
  const one = { ...sizes, scales: 1, steps: 1 };
  const taps = 9 * 2 * 8 + 8 * 8 + 9 * 8 * 4;
  expect(convolutionFlops(one)).toBe(4 * 2 * 2 * 16 * taps);
  expect(convolutionFlops({ ...one, steps: 3 })).toBe(3 * convolutionFlops(one));
});
