import { RandomStream, setBackend } from '@invnet/tensor';
import { beforeAll, describe, expect, test } from 'vitest';
import { CoverageCheck } from '../src/checks/coverage.ts';
import { FunctionalRanksCheck } from '../src/checks/functional-ranks.ts';
import { SampleMeansCheck } from '../src/checks/sample-means.ts';
import { UncertaintyCheck } from '../src/checks/uncertainty.ts';
import { moments, type PosteriorCase } from '../src/posterior.ts';

const size = 50;
const count = 39;
const cases = 400;

beforeAll(() => setBackend('wasm'));

/**
 * Truths and samples that are normal around the same means, number j with deviation 0.1 + j/size; the samples' one is
 * `narrow` times that, and they are `off` too large.
 */
function* posteriors({ narrow = 1, off = 0 } = {}): Generator<PosteriorCase> {
  const random = new RandomStream(3);
  for (let n = 0; n < cases; n++) {
    const means = random.normalArray(size);
    const draw = (scale: number, shift: number) =>
      Float32Array.from(
        random.normalArray(size),
        (z, j) => means[j]! + shift + scale * (0.1 + j / size) * z,
      );
    const truth = draw(1, 0);
    const samples = Array.from({ length: count }, () => draw(narrow, off));
    yield { truth, samples, ...moments(samples), zeroFilled: truth, misfits: [1] };
  }
}

async function checked(options: { narrow?: number; off?: number } = {}) {
  const means = new SampleMeansCheck();
  const coverage = new CoverageCheck();
  const ranks = new FunctionalRanksCheck({ count: 64, size, random: new RandomStream(4) });
  const uncertainty = new UncertaintyCheck();
  for (const posterior of posteriors(options)) {
    for (const check of [means, coverage, ranks, uncertainty]) await check.add(posterior);
  }
  const { levels, all } = coverage.result();
  return {
    means: means.result(),
    coverage: Math.max(...all.map((share, i) => Math.abs(share - levels[i]!))),
    ranks: ranks.result(),
    uncertainty: uncertainty.result(),
  };
}

describe('checks', () => {
  test('pass for exact posteriors', async () => {
    const { means, coverage, ranks, uncertainty } = await checked();
    expect(means.gap).toBeCloseTo(3.01, 1);
    expect(means.samples).toEqual([1, 2, 4, 8, 16, 32, 39]);
    const apart = means.gain.map((gain, i) => Math.abs(gain - means.exactGain[i]!));
    expect(Math.max(...apart)).toBeLessThan(0.1);
    expect(coverage).toBeLessThan(0.01);
    expect(ranks.within).toBeGreaterThan(0.9);
    expect(uncertainty.spearman).toBeGreaterThan(0.4);
    expect(uncertainty.uce).toBeLessThan(0.04);
  });

  test('fail for posteriors that are too narrow', async () => {
    const { means, coverage, ranks, uncertainty } = await checked({ narrow: 0.5 });
    expect(means.gap).toBeLessThan(1.5);
    expect(coverage).toBeGreaterThan(0.15);
    expect(ranks.within).toBeLessThan(0.2);
    expect(uncertainty.uce).toBeGreaterThan(0.2);
  });

  test('fail for posteriors that are off', async () => {
    const { coverage, ranks } = await checked({ off: 0.5 });
    expect(coverage).toBeGreaterThan(0.05);
    expect(ranks.within).toBeLessThan(0.9);
  });
});
