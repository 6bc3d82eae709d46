/** A linear-Gaussian posterior is calibrated; one that is narrow, wide or off is found by every kind of check. */
import type { HostArray } from '@invnet/datasets';
import { centralRanks, coverageCurve, rankTest } from '@invnet/metrics';
import { RandomStream } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import {
  type CalibrationProgress,
  calibrate,
  normalPrior,
  type Sampler,
  simulate,
} from '../src/index.ts';

const noise = 0.5;
const right = noise / Math.sqrt(1 + noise ** 2);
const prior = normalPrior({ mean: [0, 0], deviation: [1, 1] });
const pairs = simulate(
  ([a, b], { random }) => random.normalArray(2, noise).map((e, i) => e + [a!, b!][i]!),
  prior,
  {
    count: 300,
    seed: 4,
  },
).result();

/** Of deviation `width` times the right one, and a mean that is off by `off` right deviations. */
function posterior({ width = 1, off = 0 }): Sampler {
  const deviation = width * right;
  const mean = (x: HostArray, i: number) => x.data[i]! / (1 + noise ** 2) + off * right;
  return {
    async sample({ x, count, seed }) {
      const shape = [x.shape[0]!, count, 2];
      const data = seed.normalArray(x.shape[0]! * count * 2, deviation);
      return {
        shape,
        data: data.map((z, j) => z + mean(x, 2 * Math.floor(j / (2 * count)) + (j % 2))),
      };
    },
    async logProb({ x, theta }) {
      const each = theta.shape[1]!;
      return Float64Array.from({ length: theta.shape[0]! * each }, (_, i) => {
        const k = 2 * Math.floor(i / each);
        const [a, b] = [0, 1].map((d) => theta.data[2 * i + d]! - mean(x, k + d));
        return -(a! ** 2 + b! ** 2) / (2 * deviation ** 2);
      });
    },
  };
}

describe('calibrate', () => {
  it('finds an exact posterior within all bands, whatever the batch', async () => {
    const run = calibrate(posterior({}), await pairs, { seed: 1, names: ['a', 'b'] });
    const progress: CalibrationProgress[] = [];
    for await (const step of run) progress.push(step);
    expect(progress.map(({ done }) => done)).toEqual([50, 100, 150, 200, 250, 300]);
    const found = await run.result();
    expect(found.tests.map(({ of }) => of)).toEqual(['a', 'b', 'highest density', 'random points']);
    expect(found.tests.filter(({ finding }) => finding)).toEqual([]);
    for (const { pValue } of found.tests) expect(pValue).toBeGreaterThan(0.02);
    const { draws } = found;
    const central = centralRanks(found.parameters[0]!.ranks, { draws });
    for (const [ranks, among] of [
      [found.densityRanks!, draws],
      [central.ranks, central.draws],
    ] as const) {
      const { coverage, lower, upper } = coverageCurve(ranks, { draws: among, probability: 0.99 });
      for (const [k, c] of coverage.entries()) {
        expect(c).toBeGreaterThanOrEqual(lower[k]! - 1e-12);
        expect(c).toBeLessThanOrEqual(upper[k]! + 1e-12);
      }
    }
    // Of the true posterior there is no one nearer to the truths.
    const meanOf = (logDensities: Float64Array) =>
      logDensities.reduce((sum, logP) => sum + logP, 0) / logDensities.length;
    const wrong = await calibrate(posterior({ off: 0.5 }), await pairs, { seed: 1 }).result();
    expect(meanOf(wrong.logDensities!)).toBeLessThan(meanOf(found.logDensities!));
    for (const { zScores, contraction } of found.parameters) {
      const square = zScores.reduce((sum, z) => sum + z * z, 0) / zScores.length;
      expect(Math.abs(square - 1)).toBeLessThan(0.3);
      // 1 − right²
      expect(contraction[0]).toBeCloseTo(0.8, 1);
    }
  });

  it.each([
    { wrong: { width: 0.6 }, finding: /samples are too narrow$/ },
    { wrong: { width: 1.7 }, finding: /samples are too wide$/ },
    { wrong: { off: 1.2 }, finding: /samples are too high$/ },
  ])('finds one with $wrong by SBC, coverage and TARP alike', async ({ wrong, finding }) => {
    const { tests } = await calibrate(posterior(wrong), await pairs, { seed: 1 }).result();
    for (const test of tests) {
      expect(test.pValue, test.of).toBeLessThan(1e-3);
      expect(test.finding, test.of).toBeDefined();
    }
    expect(tests[0]!.finding).toMatch(finding);
    expect(tests.at(-1)!.finding).toMatch(
      'width' in wrong && wrong.width > 1 ? /too wide/ : /too narrow, or off/,
    );
  });

  it('needs samples alone, gives what the parts give, and equal seeds the same', async () => {
    const { sample } = posterior({});
    const [one, other] = await Promise.all(
      [7, 300].map(async (batchSize) =>
        calibrate({ sample }, await pairs, { seed: 2, draws: 19, batchSize }).result(),
      ),
    );
    expect(one!.densityRanks).toBeUndefined();
    expect(one!.tests).toHaveLength(3);
    const again = await calibrate({ sample }, await pairs, {
      seed: 2,
      draws: 19,
      batchSize: 300,
    }).result();
    expect(again).toEqual(other);
    expect(rankTest(one!.tarpRanks, { draws: 19 }).pValue).toBe(one!.tests.at(-1)!.pValue);
  });

  it('refuses what does not fit, and ends when asked to', async () => {
    const { theta, x } = await pairs;
    const right = posterior({});
    expect(() => calibrate(right, { theta, x }, { seed: 1, draws: 100 })).toThrow(
      /an odd number, such as 99/,
    );
    expect(() => calibrate(right, { theta, x }, { seed: 1, names: ['a'] })).toThrow(
      /expected 2 texts/,
    );
    expect(() =>
      calibrate(right, { theta, x: { shape: [2, 300], data: x.data } }, { seed: 1 }),
    ).toThrow(/expected \[N, D\] and \[N, …\]/);
    const short: Sampler = {
      sample: async () => ({ shape: [1, 1], data: new RandomStream(1).normalArray(1) }),
    };
    await expect(calibrate(short, { theta, x }, { seed: 1 }).result()).rejects.toThrow(
      /samples are \[1, 1\]; expected \[50, 99, 2\]/,
    );
    const controller = new AbortController();
    const run = calibrate(right, { theta, x }, { seed: 1, signal: controller.signal });
    await run.next();
    controller.abort(new Error('enough'));
    await expect(run.result()).rejects.toThrow(/enough/);
  });
});
