/**
 * Checks of posteriors on a linear-Gaussian model, whose posterior is known: the exact one passes all of them, and
 * one that is too narrow, too wide or off is found by each.
 */
import { RandomStream } from '@invnet/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bootstrapCoverage,
  centralRanks,
  contraction,
  coverageCurve,
  densityRank,
  ecdfBand,
  ecdfDifference,
  energyDistance,
  kolmogorovSmirnov,
  mmd,
  type Points,
  posteriorMoments,
  predictiveChecks,
  rankAmong,
  rankTest,
  tarpRank,
  tarpReferences,
  zScores,
} from '../src/index.ts';

/** θ ~ N(0, I) in two dimensions, x = θ + N(0, s²): the posterior is N(x/(1 + s²), s²/(1 + s²)). */
const noise = 0.5;
const [cases, draws] = [400, 99];
const right = noise / Math.sqrt(1 + noise ** 2);

/** Ranks of each kind that a posterior gets whose deviation is `width` times the right one, and whose mean is off. */
function ranksOf(posterior: { readonly width?: number; readonly off?: number }) {
  const { width = 1, off = 0 } = posterior;
  const random = new RandomStream(5);
  const truths = Array.from({ length: cases }, () => random.normalArray(2));
  const { points, scales } = tarpReferences(truths, { seed: 3 });
  const deviation = width * right;
  const found = truths.map((truth, i) => {
    const x = truth.map((t) => t + noise * random.normalArray(1)[0]!);
    const mean = x.map((value) => value / (1 + noise ** 2) + off * right);
    const data = random.normalArray(2 * draws, deviation).map((z, j) => z + mean[j % 2]!);
    const logDensity = (a: ArrayLike<number>, at: number) =>
      -((a[at]! - mean[0]!) ** 2 + (a[at + 1]! - mean[1]!) ** 2) / (2 * deviation ** 2);
    const densities = Array.from({ length: draws }, (_, s) => logDensity(data, 2 * s));
    const first = data.filter((_, j) => j % 2 === 0);
    return {
      marginal: rankAmong(truth[0]!, first),
      density: densityRank(logDensity(truth, 0), densities),
      tarp: tarpRank(truth, { shape: [draws, 2], data }, { reference: points[i]!, scales }),
    };
  });
  return {
    sbc: found.map(({ marginal }) => marginal),
    coverage: found.map(({ density }) => density),
    tarp: found.map(({ tarp }) => tarp),
  };
}

describe('a linear-Gaussian posterior', () => {
  it('that is exact has coverage within binomial bands at all levels', () => {
    const { sbc, coverage, tarp } = ranksOf({});
    for (const ranks of [coverage, tarp, sbc]) {
      const curve = coverageCurve(ranks, { draws });
      expect(curve.levels).toHaveLength(draws);
      for (const [k, share] of curve.coverage.entries()) {
        expect(share).toBeGreaterThanOrEqual(curve.lower[k]! - 1e-12);
        expect(share).toBeLessThanOrEqual(curve.upper[k]! + 1e-12);
      }
      expect(rankTest(ranks, { draws }).pValue).toBeGreaterThan(0.05);
    }
    const central = centralRanks(sbc, { draws });
    expect(rankTest(central.ranks, { draws: central.draws }).pValue).toBeGreaterThan(0.05);
  });

  it.each([
    { name: 'too narrow', posterior: { width: 0.7 } },
    { name: 'too wide', posterior: { width: 1.4 } },
    { name: 'off', posterior: { off: 1 } },
  ])('that is $name is found by SBC, coverage and TARP alike', ({ posterior }) => {
    const found = ranksOf(posterior);
    for (const [name, ranks] of Object.entries(found)) {
      expect(rankTest(ranks, { draws }).pValue, name).toBeLessThan(1e-3);
      const { coverage, lower, upper } = coverageCurve(ranks, { draws });
      expect(
        coverage.some((c, k) => c < lower[k]! || c > upper[k]!),
        name,
      ).toBe(true);
    }
    const sbc = rankTest(found.sbc, { draws });
    if (posterior.width === 0.7) expect(sbc.spread).toBeGreaterThan(4);
    if (posterior.width === 1.4) expect(sbc.spread).toBeLessThan(-4);
    if (posterior.off) expect(sbc.bias).toBeLessThan(-4);
    else expect(Math.abs(sbc.bias)).toBeLessThan(3);
  });
});

describe('ranks', () => {
  it('have p-values that say what they are, and agree with the band', () => {
    const random = new RandomStream(4);
    const runs = 2000;
    const shares = { tenth: 0, half: 0 };
    const band = ecdfBand({ count: 40, draws: 9, probability: 0.9 });
    for (let i = 0; i < runs; i++) {
      const ranks = random.uniformArray(40, 0, 10).map(Math.floor);
      const { pValue } = rankTest(ranks, { draws: 9 });
      if (pValue <= 0.1) shares.tenth += 1;
      if (pValue <= 0.5) shares.half += 1;
      const { difference } = ecdfDifference(ranks, { draws: 9 });
      const outside = difference.some((d, k) => d < band.lower[k]! || d > band.upper[k]!);
      if (outside) expect(pValue).toBeLessThanOrEqual(1 - band.probability + 1e-9);
    }
    // Counts are whole, so p-values come in steps: never more often below than they say.
    for (const [share, level] of [
      [shares.tenth, 0.1],
      [shares.half, 0.5],
    ] as const) {
      const deviation = Math.sqrt((level * (1 - level)) / runs);
      expect(share / runs).toBeLessThan(level + 4 * deviation);
      expect(share / runs).toBeGreaterThan(0.6 * level);
    }
    expect(rankTest([0, 1, 2, 3], { draws: 3 }).pValue).toBe(1);
    expect(rankTest(new Array(500).fill(0), { draws: 3 }).pValue).toBeLessThan(1e-12);
  });

  it('have the p-values that counting all outcomes gives', () => {
    // Four ranks among three draws: 256 outcomes, equally likely.
    const outcomes = Array.from({ length: 256 }, (_, i) =>
      [0, 2, 4, 6].map((bit) => (i >> bit) & 3),
    );
    const values = outcomes.map((ranks) => rankTest(ranks, { draws: 3 }).pValue);
    for (const value of values) {
      const share = values.filter((other) => other <= value + 1e-12).length / 256;
      expect(value).toBeCloseTo(share, 12);
    }
    expect(new Set(values.map((value) => value.toFixed(9))).size).toBeGreaterThan(5);
  });

  it('to a point count the draws that are nearer, in the units given', () => {
    const at = { shape: [4, 2], data: [0, 0, 2, 0, 1.5, 0, 2, 1.5] };
    expect(tarpRank([1, 0], at, { reference: [2, 0] })).toBe(2);
    expect(tarpRank([1, 0], at, { reference: [2, 0], scales: [1, 2] })).toBe(3);
    expect(tarpRank([1, 0], at, { reference: [0, 0] })).toBe(1);
  });

  it('take equal numbers in random order where asked to', () => {
    const random = new RandomStream(8);
    const draws = 7;
    const counts = (size: number) => random.uniformArray(size, 0, 3).map(Math.floor);
    const ranks = Array.from({ length: 2000 }, () =>
      rankAmong(counts(1)[0]!, counts(draws), { random }),
    );
    expect(rankTest(ranks, { draws }).pValue).toBeGreaterThan(0.05);
    const biased = Array.from({ length: 2000 }, () => rankAmong(counts(1)[0]!, counts(draws)));
    expect(rankTest(biased, { draws }).pValue).toBeLessThan(1e-6);
  });

  it('of central intervals, and what an even number of draws leaves open', () => {
    expect(centralRanks([0, 3, 4, 7, 1], { draws: 7 })).toEqual({
      ranks: Uint32Array.of(3, 0, 0, 3, 2),
      draws: 3,
    });
    expect(() => centralRanks([0], { draws: 100 })).toThrow(/an odd number, such as 99/);
    expect(densityRank(Number.NEGATIVE_INFINITY, [-3, -2])).toBe(2);
    expect(() => densityRank(Number.NaN, [-3])).toThrow(/logDensity is NaN/);
  });

  it('have a bootstrap band around their coverage as wide as chance is', () => {
    const ranks = new RandomStream(2).uniformArray(300, 0, 20).map(Math.floor);
    const { coverage, lower, upper } = bootstrapCoverage(ranks, { draws: 19, resamples: 1000 });
    const k = 9;
    const width = 2 * 1.96 * Math.sqrt((coverage[k]! * (1 - coverage[k]!)) / 300);
    expect((upper[k]! - lower[k]!) / width).toBeGreaterThan(0.85);
    expect((upper[k]! - lower[k]!) / width).toBeLessThan(1.15);
    expect([lower[k]! < coverage[k]!, upper[k]! > coverage[k]!]).toEqual([true, true]);
  });

  it('to random points know a posterior that is right in each parameter alone, but not in all together', () => {
    const random = new RandomStream(6);
    // The truth's parameters are equal, the draws' apart.
    const truths = Array.from({ length: cases }, () => {
      const [z] = random.normalArray(1);
      return [z!, z!, z!, z!];
    });
    const { points, scales } = tarpReferences(truths);
    const sets = truths.map(() => random.normalArray(4 * draws));
    const marginal = sets.map((data, i) =>
      rankAmong(
        truths[i]![0]!,
        data.filter((_, j) => j % 4 === 0),
      ),
    );
    const tarp = sets.map((data, i) =>
      tarpRank(truths[i]!, { shape: [draws, 4], data }, { reference: points[i]!, scales }),
    );
    expect(rankTest(marginal, { draws }).pValue).toBeGreaterThan(0.05);
    expect(rankTest(tarp, { draws }).pValue).toBeLessThan(1e-3);
    expect(() =>
      tarpReferences([
        [1, 2],
        [2, 2],
      ]),
    ).toThrow(/parameter 1 is from 2 to 2/);
  });
});

describe('two samples', () => {
  const random = new RandomStream(9);
  const sample = (
    rows: number,
    spoil: (row: Float64Array) => ArrayLike<number> = (r) => r,
  ): Points => ({
    shape: [rows, 3],
    data: Array.from({ length: rows }, () => Array.from(spoil(random.normalArray(3)))).flat(),
  });
  const tests = {
    mmd: (x: Points, y: Points) => mmd(x, y, { permutations: 99 }).pValue,
    energy: (x: Points, y: Points) => energyDistance(x, y, { permutations: 99 }).pValue,
    ks: (x: Points, y: Points) =>
      Math.min(1, 3 * Math.min(...kolmogorovSmirnov(x, y).map(({ pValue }) => pValue))),
  };

  it.each(Object.entries(tests))('%s finds those that differ, and no others', (_, test) => {
    const x = sample(200);
    expect(test(x, sample(150))).toBeGreaterThan(0.05);
    expect(
      test(
        x,
        sample(150, (row) => row.map((z) => z + 0.4)),
      ),
    ).toBeLessThan(0.02);
    expect(
      test(
        x,
        sample(150, (row) => row.map((z) => 2 * z)),
      ),
    ).toBeLessThan(0.02);
  });

  it('that differ in dependence alone are found by all their numbers together', () => {
    const x = sample(200);
    const y = sample(200, ([a, , c]) => [a!, a!, c!]);
    expect(tests.mmd(x, y)).toBeLessThan(0.02);
    expect(tests.ks(x, y)).toBeGreaterThan(0.05);
  });

  it('of few numbers have the p-values that counting all orders gives', () => {
    // Of the 20 orders of 3 and 3, two have all of one sample first.
    const x = { shape: [3], data: [1, 2, 3] };
    expect(kolmogorovSmirnov(x, { shape: [3], data: [4, 5, 6] })).toEqual([
      { statistic: 1, pValue: expect.closeTo(0.1, 12) },
    ]);
    expect(kolmogorovSmirnov(x, x)).toEqual([{ statistic: 0, pValue: 1 }]);
    const far = { shape: [3], data: [101, 102, 103] };
    expect(energyDistance(x, far).distance).toBeCloseTo(Math.sqrt(200 - 16 / 9), 12);
  });

  it('exact and asymptotic p-values of Kolmogorov and Smirnov meet', () => {
    const [n, m] = [3200, 3100];
    const at = (count: number, shift: number) => ({
      shape: [count],
      data: Array.from({ length: count }, (_, i) => (i + 0.5) / count + shift),
    });
    const [exact] = kolmogorovSmirnov(at(n, 0), at(m, 0.03));
    const [far] = kolmogorovSmirnov(at(n + 100, 0), at(m + 100, 0.03));
    expect(exact!.pValue).toBeGreaterThan(0.05);
    expect(Math.abs(exact!.pValue - far!.pValue)).toBeLessThan(0.015);
  });

  it('are refused where they are none, and do not depend on the order of rows', () => {
    expect(() => mmd(sample(3), { shape: [3, 2], data: [1, 2, 3, 4, 5, 6] })).toThrow(
      /x has 3 numbers/,
    );
    expect(() => mmd(sample(3), { shape: [2, 2], data: [1] })).toThrow(/y has 1 numbers for shape/);
    expect(() => energyDistance(sample(3), sample(1))).toThrow(/at least 2 of each/);
    expect(() => mmd({ shape: [3], data: [1, 1, 1] }, { shape: [2], data: [1, 1] })).toThrow(
      /the median distance of samples is 0/,
    );
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 9 }), (n, m) => {
        const [x, y] = [sample(n), sample(m)];
        const once = mmd(x, y, { permutations: 1 });
        const turned = mmd(y, x, { permutations: 1 });
        expect(turned.squared).toBeCloseTo(once.squared, 12);
        expect(turned.bandwidth).toBeCloseTo(once.bandwidth, 12);
      }),
      { numRuns: 20 },
    );
  });
});

describe('moments of a posterior', () => {
  it('are mean and deviation, and say how far the truth is', () => {
    const random = new RandomStream(3);
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 30 }),
        fc.integer({ min: 1, max: 5 }),
        (count, size) => {
          const samples = Array.from({ length: count }, () =>
            random.normalArray(size).map((z) => 1e6 + z),
          );
          const { mean, deviation } = posteriorMoments(samples);
          const [first] = [samples.map((s) => s[0]!)];
          const average = first.reduce((a, b) => a + b) / count;
          const variance = first.reduce((a, b) => a + (b - average) ** 2, 0) / (count - 1);
          expect(mean[0]).toBeCloseTo(average, 8);
          expect(deviation[0]).toBeCloseTo(Math.sqrt(variance), 8);
        },
      ),
    );
    const moments = { mean: [1, 2], deviation: [0.5, 2] };
    expect([...zScores([0, 3], moments)]).toEqual([2, -0.5]);
    expect([...contraction([0.5, 2], [1, 1])]).toEqual([0.75, -3]);
    expect(() => posteriorMoments([[1, 2]])).toThrow(/there are 1 samples/);
    expect(() => zScores([0, 3], { mean: [1, 2], deviation: [1, 0] })).toThrow(
      /deviation\[1\] is 0/,
    );
  });

  it('predict what was seen, or do not', () => {
    const values = new RandomStream(1)
      .normalArray(2 * 999)
      .map((z, i) => (i % 2 === 0 ? z : 5 + 2 * z));
    const [usual, far] = predictiveChecks([0.1, -8], { shape: [999, 2], data: values });
    expect(usual!.pValue).toBeGreaterThan(0.5);
    expect(far).toMatchObject({ observed: -8, rank: 0, pValue: 2 / 1000 });
    expect(far!.mean).toBeCloseTo(5, 0);
    expect(far!.deviation).toBeCloseTo(2, 0);
    expect(predictiveChecks([1], { shape: [2], data: [1, 1] })[0]!.pValue).toBe(1);
  });
});
