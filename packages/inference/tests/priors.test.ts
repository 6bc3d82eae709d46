/** Priors: densities that integrate to one, gradients that are theirs, samples that follow them and never leave the support. */
import { RandomStream, setBackend, tensor } from '@invnet/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  betaPrior,
  gammaPrior,
  independentPrior,
  logNormalPrior,
  MissingDensityError,
  normalPrior,
  Prior,
  uniformPrior,
} from '../src/index.ts';
import { clampInto } from '../src/priors/support.ts';

beforeAll(() => setBackend('reference', { dtype: 'float64' }));

const average = Math.exp(0.38);
/** One parameter each, with its mean and deviation and an interval that has all of its mass. */
const families = [
  {
    name: 'uniform',
    prior: uniformPrior({ low: [-2], high: [1] }),
    moments: [-0.5, 3 / Math.sqrt(12)],
    range: [-2, 1],
  },
  {
    name: 'normal',
    prior: normalPrior({ mean: [3], deviation: [0.5] }),
    moments: [3, 0.5],
    range: [-1, 7],
  },
  {
    name: 'log-normal',
    prior: logNormalPrior({ mean: [0.3], deviation: [0.4] }),
    moments: [average, average * Math.sqrt(Math.expm1(0.16))],
    range: [0, 20],
  },
  {
    name: 'gamma',
    prior: gammaPrior({ shape: [2.5], rate: [2] }),
    moments: [1.25, Math.sqrt(2.5) / 2],
    range: [0, 20],
  },
  {
    name: 'gamma of a shape below 1',
    prior: gammaPrior({ shape: [0.7], rate: [0.5] }),
    moments: [1.4, Math.sqrt(0.7) / 0.5],
    range: [0, 100],
  },
  {
    name: 'beta',
    prior: betaPrior({ alpha: [2], beta: [3.5] }),
    moments: [2 / 5.5, Math.sqrt(7 / (5.5 ** 2 * 6.5))],
    range: [0, 1],
  },
] as const;

describe.each(families)('$name', ({ prior, moments: [mean, deviation], range: [from, to] }) => {
  it('has a density of mass one, its gradient, and samples of its moments', () => {
    const count = 20_000;
    const data = Float64Array.from(prior.sample({ count, seed: 3 }).data);
    const average = data.reduce((sum, v) => sum + v, 0) / count;
    const variance = data.reduce((sum, v) => sum + (v - average) ** 2, 0) / count;
    expect(Math.abs(average - mean)).toBeLessThan((4 * deviation) / Math.sqrt(count));
    expect(Math.abs(Math.sqrt(variance) / deviation - 1)).toBeLessThan(0.05);
    expect(prior.contains({ shape: [count, 1], data })).not.toContain(false);

    // Nodes at squares tame the density of shapes below 1 at zero.
    const steps = 20_000;
    const roots = Float64Array.from({ length: steps }, (_, i) => (i + 0.5) / steps);
    const theta = { shape: [steps, 1], data: roots.map((u) => from + (to - from) * u * u) };
    const mass = prior
      .logProb(theta)
      .reduce((sum, p, i) => sum + (Math.exp(p) * 2 * roots[i]! * (to - from)) / steps, 0);
    expect(mass).toBeCloseTo(1, 3);

    const some = { shape: [3, 1], data: data.slice(0, 3) };
    const step = 1e-6;
    const at = (h: number) => prior.logProb({ ...some, data: some.data.map((v) => v + h) });
    const [above, below] = [at(step), at(-step)];
    prior.score(some).data.forEach((slope, i) => {
      expect(slope).toBeCloseTo((above[i]! - below[i]!) / (2 * step), 4);
    });
  });
});

it('maps all numbers onto the support, with the log-determinant of its density there', async () => {
  const prior = independentPrior([
    uniformPrior({ low: [0, -1], high: [0.1, 1] }),
    logNormalPrior({ mean: [0], deviation: [1] }),
    normalPrior({ mean: [1], deviation: [2] }),
  ]);
  expect(prior.size).toBe(4);
  const map = prior.toSupport();
  const u = new RandomStream(1).normalArray(4 * 500, 3);
  const { y, logdet } = map.forward(tensor(u, [500, 4]));
  const theta = { shape: [500, 4], data: Float64Array.from(await y.data()) };
  expect(prior.contains(theta)).not.toContain(false);
  const back = await map.inverse(y).x.data();
  expect(Math.max(...back.map((v, i) => Math.abs(v - u[i]!)))).toBeLessThan(1e-6);
  // The density of each u is known: logistic twice, normal twice.
  const logistic = [u[0]!, u[1]!].map((v) => -Math.log(2 + Math.exp(v) + Math.exp(-v)));
  const normal = [u[2]!, (u[3]! - 1) / 2].map((v) => -0.5 * (v * v + Math.log(2 * Math.PI)));
  const expected = [...logistic, ...normal, -Math.log(2)].reduce((sum, p) => sum + p, 0);
  expect(prior.logProb(theta)[0]! + (await logdet.data())[0]!).toBeCloseTo(expected, 8);
});

it('has the densities and gradients of their limits at the bounds of the support', () => {
  const none = Number.NEGATIVE_INFINITY;
  const cases = [
    [gammaPrior({ shape: [1], rate: [2] }), 0, Math.log(2), -2],
    [gammaPrior({ shape: [3], rate: [2] }), 0, none, undefined],
    [gammaPrior({ shape: [0.5], rate: [2] }), 0, -none, undefined],
    [betaPrior({ alpha: [1], beta: [3] }), 0, Math.log(3), -2],
    [betaPrior({ alpha: [3], beta: [1] }), 1, Math.log(3), 2],
    [betaPrior({ alpha: [3], beta: [2] }), 1, none, undefined],
    [logNormalPrior({ mean: [0], deviation: [1] }), 0, none, undefined],
    [uniformPrior({ low: [0], high: [2] }), 2, -Math.log(2), 0],
  ] as const;
  for (const [prior, at, density, slope] of cases) {
    const theta = { shape: [1, 1], data: Float64Array.of(at) };
    expect(prior.logProb(theta)[0]).toBeCloseTo(density, 12);
    if (slope !== undefined) expect(prior.score(theta).data[0]).toBeCloseTo(slope, 12);
  }
});

it('moves what was rounded out of a support back into it', () => {
  const support = [
    { kind: 'above', low: 0, size: 2 },
    { kind: 'box', low: [0.1], high: [0.3] },
  ] as const;
  const prior = new Prior({ support, sample: () => new Float64Array(0) });
  const data = Float64Array.of(0, Number.POSITIVE_INFINITY, Math.fround(0.3));
  expect(prior.contains({ shape: [1, 3], data })).toEqual([false]);
  clampInto(support, data);
  expect(prior.contains({ shape: [1, 3], data })).toEqual([true]);
  expect(Math.fround(data[1]!)).toBe(data[1]);
});

it('has −∞ outside, one error where there is no density, and refuses a sampler that leaves its support', () => {
  const prior = uniformPrior({ low: [0], high: [0.5] });
  expect(prior.logProb({ shape: [3, 1], data: Float64Array.of(-0.1, 0.25, Number.NaN) })).toEqual(
    Float64Array.of(Number.NEGATIVE_INFINITY, Math.log(2), Number.NEGATIVE_INFINITY),
  );
  const bare = new Prior({
    support: [{ kind: 'ordered', size: 2 }],
    sample: (count, random) => {
      const data = random.normalArray(2 * count);
      for (let i = 0; i < count; i++) data.subarray(2 * i, 2 * i + 2).sort();
      return data;
    },
  });
  const theta = bare.sample({ count: 10, seed: 1 });
  expect(() => bare.logProb(theta)).toThrow(MissingDensityError);
  expect(() => bare.logProb(theta)).toThrow('no density; expected one that was made with log');
  const both = independentPrior([prior, bare]);
  expect(both.hasDensity).toBe(false);
  expect(both.sample({ count: 5, seed: 2 }).shape).toEqual([5, 3]);
  const wrong = new Prior({
    support: [{ kind: 'simplex', size: 2 }],
    sample: (count, random) => random.uniformArray(2 * count),
  });
  expect(() => wrong.sample({ count: 50, seed: 1 })).toThrow('outside of its support');
});
