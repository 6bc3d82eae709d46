import { setBackend } from '@invnet/tensor';
import { describe, expect, test } from 'vitest';
import { describeOps, measureOps } from '../src/ops.ts';
import { startPeak } from '../src/peak.ts';

describe('bench ops', () => {
  test('times each operation, as a share of the peak', async () => {
    await setBackend('wasm');
    const report = await measureOps({ repeats: 2, channels: 8, side: 32, peers: false });
    expect(report.notes).toEqual([]);
    expect(report.results).toHaveLength(5);
    expect(report.peak).toBeGreaterThan(0);
    for (const { gflops, share, ratio } of report.results) {
      expect(gflops).toBeGreaterThan(0);
      expect(share).toBeCloseTo(gflops / report.peak);
      expect(ratio).toBe(1);
    }
    expect(report.figures.map((f) => f.name)).toContain('its filter gradient');
    expect(describeOps(report)).toMatch(/product 32³ +invnet, wasm/);
  });

  test('measures a peak on several threads', async () => {
    const peak = await startPeak(2);
    expect(await peak.measure()).toBeGreaterThan(0.1);
    await peak.close();
  });
});
