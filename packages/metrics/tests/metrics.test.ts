/** Where the right answer is known: by hand, or by simulation. */
import { RandomStream } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import {
  averageAccuracy,
  cohenKappa,
  confusionMatrix,
  coverage,
  ecdfBand,
  ecdfDifference,
  intersectionOverUnion,
  nrmse,
  psnr,
  rankAmong,
  snr,
  spearman,
  ssim,
  uncertaintyCalibration,
} from '../src/index.ts';

describe('image quality', () => {
  it('is perfect for equal images', () => {
    const x = new RandomStream(1).uniformArray(64);
    expect([psnr(x, x, { range: 1 }), snr(x, x)]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
    expect(ssim(x, x, { shape: [8, 8], range: 1 })).toBeCloseTo(1, 12);
    expect(nrmse(x, x)).toBe(0);
    expect(snr([1, 2], [1, 1])).toBeCloseTo(-20 * Math.log10(nrmse([1, 2], [1, 1])), 12);
  });

  it('refuses what is no image', () => {
    expect(() => psnr([1, Number.NaN], [1, 2], { range: 1 })).toThrow(
      /holds NaN, as number 1 of 2/,
    );
    expect(() => psnr([1], [1, 2], { range: 1 })).toThrow(/has 1 numbers and the truth 2/);
    expect(() => nrmse([1, 2], [0, 0])).toThrow(/zero everywhere/);
    expect(() => ssim([1, 2], [1, 2], { shape: [3], range: 1 })).toThrow(/2 numbers do not fill/);
    expect(() => ssim([1, 2], [1, 2], { shape: [2], range: 1 })).toThrow(/no room for a window/);
  });
});

describe('classification', () => {
  it('leaves out what the mask does, and classes that do not occur', () => {
    const options = { classes: 3, mask: [1, 1, 1, 0] };
    const matrix = confusionMatrix([0, 0, 1, 7], [0, 1, 1, 9], options);
    expect(matrix).toEqual([
      [1, 0, 0],
      [1, 1, 0],
      [0, 0, 0],
    ]);
    expect(averageAccuracy(matrix)).toBe(0.75);
    expect(intersectionOverUnion(matrix)).toEqual({ classes: [0.5, 0.5, undefined], mean: 0.5 });
    expect(() => confusionMatrix([0], [9], { classes: 3 })).toThrow(/labels\[0\] is 9/);
    expect(() => cohenKappa([[3]])).toThrow(/all is of one class/);
    expect(() => cohenKappa([[3, 1]])).toThrow(/a square matrix/);
  });
});

describe('calibration', () => {
  const random = new RandomStream(2);
  const cases = 4000;
  // Posteriors N(m, d²) of which the truth is a draw as well.
  const deviations = random.uniformArray(cases, 0.5, 2);
  const draw = (scale = 1) => random.normalArray(cases).map((z, i) => scale * deviations[i]! * z);
  const truth = draw();
  const levels = [0.5, 0.8, 0.9, 0.95];

  it('finds exact posteriors calibrated, with few samples as well, and narrow ones not', () => {
    const samples = Array.from({ length: 39 }, () => draw());
    for (const [i, covered] of coverage(samples, truth, { levels }).entries()) {
      // Four standard errors of a share of 4000 cases.
      const tolerance = 4 * Math.sqrt((levels[i]! * (1 - levels[i]!)) / cases);
      expect(Math.abs(covered - levels[i]!)).toBeLessThan(tolerance);
    }
    const narrow = Array.from({ length: 39 }, () => draw(0.5));
    expect(coverage(narrow, truth, { levels: [0.9] })[0]).toBeLessThan(0.7);
    expect(() => coverage(samples.slice(1), truth, { levels })).toThrow(
      /0.95; expected at least 39/,
    );
    expect(coverage(samples.slice(20), truth, { levels: [0.9] })).toHaveLength(1);
  });

  it('draws the calibration curve', () => {
    const right = uncertaintyCalibration(truth, deviations);
    expect(right.uce).toBeLessThan(0.05);
    expect(right.bins).toHaveLength(10);
    const twice = deviations.map((d) => 2 * d);
    const rms = Math.sqrt(deviations.reduce((s, d) => s + d * d, 0) / cases);
    expect(uncertaintyCalibration(truth, twice, { bins: 1 }).uce).toBeCloseTo(rms, 1);
    expect(uncertaintyCalibration([1, 3], [2, 2]).bins).toEqual([
      { count: 2, deviation: 2, error: Math.sqrt(5) },
    ]);
  });

  it('ranks are uniform for exact posteriors, and leave the band for others', () => {
    const draws = 31;
    const band = ecdfBand({ count: 500, draws });
    const inside = (scale: number) => {
      const ranks = Array.from({ length: 500 }, () => {
        return rankAmong(random.normalArray(1)[0]!, random.normalArray(draws, scale));
      });
      const { difference, at } = ecdfDifference(ranks, { draws });
      expect(at).toEqual(band.at);
      return difference.every((d, k) => d >= band.lower[k]! && d <= band.upper[k]!);
    };
    expect(inside(1)).toBe(true);
    expect(inside(0.8)).toBe(false);
    expect([...ecdfDifference([0, 0, 1], { draws: 1 }).difference]).toEqual([2 / 3 - 0.5]);
  });

  it('holds uniform ranks in its band as often as it says', () => {
    const [count, draws, curves] = [60, 12, 20_000];
    const { lower, upper, probability } = ecdfBand({ count, draws, probability: 0.9 });
    expect(probability).toBeGreaterThanOrEqual(0.9);
    expect(probability).toBeLessThan(0.92);
    let inside = 0;
    for (let i = 0; i < curves; i++) {
      const ranks = random.uniformArray(count, 0, draws + 1).map(Math.floor);
      const { difference } = ecdfDifference(ranks, { draws });
      if (difference.every((d, k) => d >= lower[k]! && d <= upper[k]!)) inside += 1;
    }
    const deviation = Math.sqrt((probability * (1 - probability)) / curves);
    expect(Math.abs(inside / curves - probability)).toBeLessThan(4 * deviation);
  });

  it('correlates ranks', () => {
    expect(spearman([1, 2, 3], [1, 4, 9])).toBe(1);
    expect(spearman([1, 2, 3], [3, 2, -7])).toBe(-1);
    expect(() => spearman([1, 1], [1, 2])).toThrow(/all numbers of an array are equal/);
  });
});
