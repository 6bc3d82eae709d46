import { setBackend, WasmBackend } from '@invnet/tensor';
import { describe, expect, test } from 'vitest';
import { commonPeak } from '../src/machine.ts';
import { describeOps, measureOps } from '../src/ops.ts';
import { ownBackends } from '../src/own-backends.ts';
import { startPeak } from '../src/peak.ts';
import { type ConvCase, caseOperations, convFlops, describeCase } from '../src/peers/conv-case.ts';

const shape: ConvCase = {
  ...{ batch: 2, inChannels: 3, outChannels: 4, side: 5, ndims: 2, kernel: 3, stride: 2 },
};

describe('bench ops', () => {
  test('times each operation on each of our backends, as a share of the peak', async () => {
    const sizes = { repeats: 2, channels: 8, side: 32, threads: 1, shapes: [shape] };
    const report = await measureOps({ ...sizes, peers: false });
    const here = ownBackends.filter((b) => !report.notes.some(({ backend }) => b === backend));
    expect(here).toContain('wasm');
    expect(report.results).toHaveLength(5 * here.length);
    expect(report.couplings).toHaveLength(3 * here.length);
    const top = commonPeak(report.peaks);
    expect(top).toBeGreaterThan(0);
    for (const { gflops, share, difference } of [...report.results, ...report.couplings]) {
      expect(gflops).toBeGreaterThan(0);
      expect(share).toBeCloseTo(gflops / top);
      // Our backends have the same bits.
      expect(difference).toBe(0);
    }
    expect(report.figures.map((f) => f.name)).toContain('its filter gradient, wasm');
    expect(describeOps(report)).toMatch(/product 32³ +invnet, wasm/);
    expect(describeOps(report)).toMatch(/^3×3 \[2, 3, 5, 5\] to 4, stride 2: input gradient /m);
  });

  test.each([128, 256] as const)('measures a peak in %i bits on several threads', async (bits) => {
    const peak = await startPeak(2, bits);
    expect(await peak.measure()).toBeGreaterThan(0.1);
    await peak.close();
  });

  test('knows the flops and the adjoints of a convolution', async () => {
    expect(describeCase(shape)).toBe('3×3 [2, 3, 5, 5] to 4, stride 2');
    // 3 × 3 results of 3 × 3 taps.
    expect(convFlops(shape)).toBe(2 * 2 * 3 * 4 * 9 * 9);
    await setBackend(new WasmBackend());
    const sizes = await Promise.all(
      caseOperations(shape).map(async ({ result }) => (await result!())[0]!.length),
    );
    expect(sizes).toEqual([2 * 4 * 9, 2 * 3 * 25, 4 * 3 * 9]);
  });
});
