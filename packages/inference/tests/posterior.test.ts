/** Posteriors: the exact one where there is one, nothing outside of the support, equal bits for a seed, and files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostArray } from '@invnet/datasets';
import { assertConditioner } from '@invnet/jvp';
import { BatchNorm, chain, Dense } from '@invnet/layers';
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import { constant, loadModel, saveModel } from '@invnet/train';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  FeatureStandardization,
  inferenceCatalogue,
  type NeuralPosteriorOptions,
  neuralPosterior,
  normalPrior,
  Posterior,
  Prior,
  type Simulator,
  type Summary,
  simulate,
  type UnusualObservation,
  uniformPrior,
} from '../src/index.ts';

beforeAll(() => setBackend('wasm'));

/** Small, and quick to train. */
const quick: NeuralPosteriorOptions = {
  estimator: { kind: 'affine', transforms: 2, hidden: 24 },
  epochs: 25,
  batchSize: 100,
  schedule: constant(2e-3),
  seed: 5,
};

async function learned(
  prior: Prior,
  simulator: Simulator,
  { count = 2000, ...options }: NeuralPosteriorOptions & { count?: number } = {},
) {
  const pairs = await simulate(simulator, prior, { count, seed: 4, batchSize: 500 }).result();
  const { posterior } = await neuralPosterior(prior, pairs, { ...quick, ...options }).result();
  return { pairs, posterior };
}

describe('a linear Gaussian model', () => {
  // x = Aθ + 0.5ε, θ ~ N(0, 1): the posterior is normal, of precision 1 + AᵀA/0.25.
  const prior = normalPrior({ mean: [0, 0], deviation: [1, 1] });
  const simulator: Simulator = ([a, b], { random }) => {
    const noise = random.normalArray(2, 0.5);
    return [a! + 0.5 * b! + noise[0]!, b! - 0.3 * a! + noise[1]!];
  };
  const [p, q, r] = [1 + 4 * 1.09, 4 * 0.2, 1 + 4 * 1.25];
  const covariance = [r, -q, -q, p].map((value) => value / (p * r - q * q));
  const exactMean = (x: ArrayLike<number>) => {
    const [u, v] = [4 * (x[0]! - 0.3 * x[1]!), 4 * (0.5 * x[0]! + x[1]!)];
    return [covariance[0]! * u + covariance[1]! * v, covariance[2]! * u + covariance[3]! * v];
  };
  let posterior: Posterior;
  let count: number;

  beforeAll(async () => {
    ({ posterior } = await learned(prior, simulator, { count: 4000 }));
    ({ tensors: count } = memory());
  });

  it('has the posterior’s mean and covariance, at several observations at once', async () => {
    const x = { shape: [3, 2], data: Float64Array.of(0, 0, 1, -0.5, -1, 1) };
    const samples = await posterior.sample({ x, count: 4000, seed: 1 });
    expect(samples.shape).toEqual([3, 4000, 2]);
    for (let k = 0; k < 3; k++) {
      const { mean, second } = moments(samples.data.slice(k * 8000, (k + 1) * 8000));
      exactMean(x.data.slice(2 * k)).forEach((m, c) => {
        expect(Math.abs(mean[c]! - m)).toBeLessThan(0.07);
      });
      covariance.forEach((value, i) => {
        expect(Math.abs(second[i]! - value)).toBeLessThan(0.035);
      });
    }
    expect(memory().tensors).toBe(count);
  });

  it('covers what was drawn from the prior as often as it says', async () => {
    const runs = 300;
    const pairs = await simulate(simulator, prior, { count: runs, seed: 77 }).result();
    const draws = 99;
    const { data } = await posterior.sample({ x: pairs.x, count: draws, seed: 2 });
    for (const level of [0.5, 0.8, 0.95]) {
      for (const c of [0, 1]) {
        let inside = 0;
        for (let k = 0; k < runs; k++) {
          const truth = pairs.theta.data[2 * k + c]!;
          let below = 0;
          for (let s = 0; s < draws; s++) if (data[2 * (k * draws + s) + c]! < truth) below++;
          if (Math.abs((below + 0.5) / (draws + 1) - 0.5) < level / 2) inside++;
        }
        const deviation = Math.sqrt((level * (1 - level)) / runs);
        expect(Math.abs(inside / runs - level)).toBeLessThan(3 * deviation);
      }
    }
  });

  it('has densities that are those of its samples, one by one or of several observations', async () => {
    const x = { shape: [2, 2], data: Float64Array.of(0.3, 0, -1, 1) };
    const theta = await posterior.sample({ x, count: 50, seed: 3 });
    const both = await posterior.logProb({ x, theta, batchSize: 7 });
    for (const k of [0, 1]) {
      const one = { shape: [50, 2], data: theta.data.slice(100 * k, 100 * (k + 1)) };
      const own = await posterior.logProb({ x: x.data.slice(2 * k, 2 * k + 2), theta: one });
      own.forEach((value, i) => {
        expect(value).toBeCloseTo(both[50 * k + i]!, 4);
        const mean = exactMean(x.data.slice(2 * k));
        const [a, b] = [one.data[2 * i]! - mean[0]!, one.data[2 * i + 1]! - mean[1]!];
        const exact =
          -0.5 * (p * a * a + 2 * q * a * b + r * b * b) +
          0.5 * Math.log(p * r - q * q) -
          Math.log(2 * Math.PI);
        expect(Math.abs(value - exact)).toBeLessThan(0.6);
      });
    }
    expect(memory().tensors).toBe(count);
  });

  it('finds the mode, and leaves nothing', async () => {
    const x = [0.8, -0.4];
    const search = () => posterior.map({ x, seed: 1, starts: 4, steps: 60 });
    // One that ends before leaves the other alone.
    const [{ theta, logProb }] = await Promise.all([
      search(),
      posterior.map({ x, seed: 1, starts: 2, steps: 5 }),
    ]);
    exactMean(x).forEach((m, c) => {
      expect(Math.abs(theta.data[c]! - m)).toBeLessThan(0.12);
    });
    const samples = await posterior.sample({ x, count: 500, seed: 2 });
    const densities = await posterior.logProb({ x, theta: samples });
    expect(logProb[0]).toBeGreaterThanOrEqual(Math.max(...densities) - 1e-3);
    expect(memory().tensors).toBe(count);
    expect(posterior.flow.parameters.some((parameter) => parameter.frozen || parameter.grad)).toBe(
      false,
    );
  });

  it('is the same in another batch, from the same seed, and from a file', async () => {
    const request = { x: [0.5, 0.5], count: 30, seed: 9 };
    const samples = await posterior.sample(request);
    expect(await posterior.sample({ ...request, batchSize: 7 })).toEqual(samples);
    const [one, other] = [
      await learned(prior, simulator, { count: 300, epochs: 3 }),
      await learned(prior, simulator, { count: 300, epochs: 3 }),
    ];
    expect(await one.posterior.sample(request)).toEqual(await other.posterior.sample(request));
    for (const { posterior } of [one, other]) posterior.dispose();
    const folder = await mkdtemp(join(tmpdir(), 'posterior-'));
    try {
      const path = join(folder, 'posterior.safetensors');
      await saveModel(path, posterior);
      const loaded = await loadModel(path, { modules: inferenceCatalogue, as: Posterior });
      expect(await loaded.sample(request)).toEqual(samples);
      expect(await loaded.typicality({ x: request.x })).toEqual(
        await posterior.typicality({ x: request.x }),
      );
      loaded.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(memory().tensors).toBe(count);
  });

  it('warns of an observation that is unlike those of the training, with its distance', async () => {
    const warnings: UnusualObservation[] = [];
    const x = { shape: [2, 2], data: Float64Array.of(0, 0.1, 20, 3) };
    const onWarning = (warning: UnusualObservation) => warnings.push(warning);
    await posterior.sample({ x, count: 2, seed: 1, onWarning });
    expect(warnings.map(({ index }) => index)).toEqual([1]);
    expect(warnings[0]!.distance).toBeGreaterThan(4 * warnings[0]!.limit);
    expect(warnings[0]!.message).toMatch(/observation 1 is at a distance of \d+\.\d/);
  });

  it('says what is wrong with an observation', async () => {
    const ask = (x: HostArray | number[]) => posterior.sample({ x, count: 1, seed: 1 });
    await expect(ask([1, 2, 3])).rejects.toThrow('x is [3]; expected one observation [2], or');
    await expect(ask([1, Number.NaN])).rejects.toThrow('number 1 of x is NaN');
    const origin = { shape: [1, 2], data: Float64Array.of(0, 0) };
    await expect(posterior.logProb({ x: [1e39, 0], theta: origin })).rejects.toThrow(
      'row 0 is NaN',
    );
    const theta = { shape: [1, 3], data: new Float64Array(3) };
    await expect(posterior.logProb({ x: [1, 2], theta })).rejects.toThrow('expected [N, 2]');
  });
});

it('learns parameters and observations of any size', async () => {
  const prior = normalPrior({ mean: [50], deviation: [10] });
  const simulator: Simulator = ([a], { random }) => [3 * a! + random.normalArray(1, 15)[0]!];
  const { posterior } = await learned(prior, simulator);
  // Of precision 1/100 + 9/225.
  const data = Float64Array.from((await posterior.sample({ x: [210], count: 4000, seed: 1 })).data);
  const mean = data.reduce((sum, value) => sum + value, 0) / 4000;
  const variance = data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4000;
  expect(Math.abs(mean - (50 / 100 + (3 * 210) / 225) / 0.05)).toBeLessThan(0.5);
  expect(Math.abs(Math.sqrt(variance) - Math.sqrt(20))).toBeLessThan(0.4);
  posterior.dispose();
});

it.each(['spline', 'affine', 'autoregressive', 'flow-matching'] as const)(
  'keeps %s flows in the support, and gives its memory back',
  async (kind) => {
    const { tensors } = memory();
    const prior = uniformPrior({ low: [0, -2], high: [0.1, 3] });
    const simulator: Simulator = ([a, b], { random }) => [
      10 * a! + random.normalArray(1, 0.1)[0]!,
      b!,
    ];
    const estimator = { kind, hidden: 16, ...(kind !== 'flow-matching' && { transforms: 2 }) };
    const { posterior } = await learned(prior, simulator, { count: 500, estimator, epochs: 5 });
    // Observations at the edges of what there is press against the bounds; those beyond, which are extrapolated, onto them,
    // where float32 has 0.1 above 0.1.
    const x = { shape: [3, 2], data: Float64Array.of(0, -2, 1, 3, 40, 40) };
    const { data } = await posterior.sample({ x, count: 1000, seed: 1 });
    const theta = { shape: [3000, 2], data };
    expect(prior.contains(theta)).not.toContain(false);
    const outside = { shape: [2, 2], data: Float64Array.of(0.11, 0, 0.05, 0) };
    const densities = await posterior.logProb({ x: [0.5, 0], theta: outside });
    expect(densities[0]).toBe(Number.NEGATIVE_INFINITY);
    expect(densities[1]).toBeGreaterThan(-5);
    const map = await posterior.map({ x: [0.5, 1], seed: 1, starts: 2, steps: 5 });
    expect(prior.contains({ shape: [1, 2], data: map.theta.data })).toEqual([true]);
    posterior.dispose();
    expect(memory().tensors).toBe(tensors);
  },
);

it.each([0, 0.1, -3])(
  'learns from parameters on a bound of %s, and has a density there',
  async (low) => {
    const prior = new Prior({
      support: [{ kind: 'above', low, size: 1 }],
      sample: (count, random) => random.uniformArray(count).map((u) => low + Math.max(0, u - 0.1)),
    });
    const simulator: Simulator = ([a], { random }) => [a! + random.normalArray(1, 0.1)[0]!];
    for (const kind of ['affine', 'flow-matching'] as const) {
      const estimator = { kind, hidden: 16 };
      const { posterior } = await learned(prior, simulator, { count: 300, estimator, epochs: 3 });
      const theta = { shape: [2, 1], data: Float64Array.of(low, low + 0.5) };
      const densities = await posterior.logProb({ x: [low], theta });
      expect(densities.every(Number.isFinite)).toBe(true);
    }
  },
);

const summaries: [string, Summary | (() => Summary) | undefined, readonly number[]][] = [
  ['vectors', undefined, [5]],
  ['many numbers', undefined, [80]],
  ['series', 'series', [2, 20]],
  ['images', { kind: 'image', features: 4 }, [1, 9, 8]],
  ['sets', 'deep-set', [6, 2]],
  [
    'vectors by a network of one’s own, with batch normalization',
    () => chain(new Dense({ inChannels: 5, outChannels: 4 }), new BatchNorm({ channels: 4 })),
    [5],
  ],
  ['padded sets', { kind: 'deep-set', masked: true, hidden: 16 }, [6, 3]],
  ['sets whose elements see each other', { kind: 'set-transformer', hidden: 8 }, [4, 2]],
];

it.each(summaries)('learns from %s', async (_, summary, shape) => {
  const { tensors } = memory();
  const prior = normalPrior({ mean: [2], deviation: [3] });
  const size = shape.reduce((product, n) => product * n, 1);
  const simulator: Simulator = ([a], { random }) => {
    const data = random.normalArray(size).map((z) => z + a!);
    // The mask of sets that have one: the last two elements are not there.
    if (shape[1] === 3) for (let i = 2; i < size; i += 3) data[i] = i < 12 ? 1 : 0;
    return { shape, data };
  };
  const made = typeof summary === 'function' ? summary() : summary;
  const options = { count: 600, epochs: shape[0] === 4 ? 5 : 12, ...(made && { summary: made }) };
  const { posterior, pairs } = await learned(prior, simulator, options);
  const { data } = await posterior.sample({ x: pairs.x, count: 4, seed: 1 });
  const errors = Float64Array.from(pairs.theta.data, (a, k) => data[4 * k]! - a);
  const deviation = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length);
  // Without an observation it is 3√2.
  expect(deviation).toBeLessThan(2.5);
  // No observation sees another.
  const [x, theta] = [pairs.x.data.slice(0, 3 * size), pairs.theta.data.slice(0, 3)];
  const several = await posterior.logProb({
    x: { shape: [3, ...shape], data: x },
    theta: { shape: [3, 1, 1], data: theta },
  });
  const alone = {
    x: { shape, data: x.slice(0, size) },
    theta: { shape: [1, 1], data: theta.slice(0, 1) },
  };
  expect((await posterior.logProb(alone))[0]).toBeCloseTo(several[0]!, 4);
  if (shape[1] === 2) {
    // Sets of any size and order.
    const set = { shape: [3, 2], data: Float64Array.of(1, 2, 3, 4, 5, 6) };
    const turned = { shape: [3, 2], data: Float64Array.of(5, 6, 1, 2, 3, 4) };
    const theta = { shape: [1, 1], data: Float64Array.of(3) };
    const [one, other] = await Promise.all(
      [set, turned].map((x) => posterior.logProb({ x, theta })),
    );
    expect(one![0]).toBeCloseTo(other![0]!, 4);
  }
  posterior.dispose();
  expect(memory().tensors).toBe(tensors);
});

it('says what is wrong with simulations', async () => {
  const { tensors } = memory();
  const prior = uniformPrior({ low: [0], high: [1] });
  const random = new RandomStream(1);
  const theta = prior.sample({ count: 40, seed: 1 });
  const fails = (x: HostArray, other = theta, options = {}) =>
    expect(neuralPosterior(prior, { theta: other, x }, { ...quick, ...options }).result()).rejects;
  const x = { shape: [40, 2], data: random.normalArray(80) };
  const one = { shape: [1, 1], data: theta.data.slice(0, 1) };
  await fails({ shape: [40, 2, 1], data: x.data }).toThrow('a summary that says what they are');
  expect(() =>
    neuralPosterior(prior, { theta: { shape: [40, 1], data: theta.data.map((t) => t + 1) }, x }),
  ).toThrow("outside of the prior's support");
  const single = { theta: one, x: { shape: [1, 2], data: x.data.slice(0, 2) } };
  expect(() => neuralPosterior(prior, single)).toThrow('there is 1 simulation');
  const same = { ...theta, data: theta.data.map(() => 0.5) };
  expect(() => neuralPosterior(prior, { theta: same, x })).toThrow(
    'column 0 of theta is 0.5 in all',
  );
  const broken = { ...x, data: x.data.with(3, Number.NaN) };
  expect(() => neuralPosterior(prior, { theta, x: broken })).toThrow('NaN in row 1, column 1');
  const days = { ...theta, data: Float64Array.from(theta.data, (v) => 2459000 + 1e-3 * v) };
  expect(() =>
    neuralPosterior(normalPrior({ mean: [2459000], deviation: [1] }), { theta: days, x }),
  ).toThrow('float32 has but a few digits');
  expect(() => neuralPosterior(prior, { theta: one, x })).toThrow('expected as many observations');
  expect(() => neuralPosterior(prior, { theta: { ...one, shape: [one.data.length] }, x })).toThrow(
    /neuralPosterior: theta is .* the parameters of the prior/,
  );
  expect(memory().tensors).toBe(tensors);
});

it('leaves nothing where learning is left early, and refuses the result of that', async () => {
  const { tensors } = memory();
  const prior = uniformPrior({ low: [0], high: [1] });
  const simulator: Simulator = ([a]) => [a!, a! * a!];
  const pairs = await simulate(simulator, prior, { count: 100, seed: 1 }).result();
  const learning = neuralPosterior(prior, pairs, { ...quick, estimator: 'spline' });
  for await (const { epoch } of learning) if (epoch === 2) break;
  await expect(learning.result()).rejects.toThrow('ended before it was done');
  const control = new AbortController();
  const aborted = neuralPosterior(prior, pairs, { ...quick, signal: control.signal });
  for await (const { epoch } of aborted) if (epoch === 2) control.abort();
  const { posterior, stopped } = await aborted.result();
  expect(stopped).toBe('aborted');
  posterior.dispose();
  expect(memory().tensors).toBe(tensors);
});

it('standardizes features of sets, with its derivatives', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const layer = new FeatureStandardization({ features: 2 });
  layer.mean.write(Float64Array.of(1, -2));
  layer.deviation.write(Float64Array.of(3, 0.5));
  const x = new RandomStream(1).normal([2, 3, 2]);
  await assertConditioner(layer, { x });
  const { y } = layer.forward(x);
  const [numbers, found] = [await x.data(), await y.data()];
  expect(found[3]).toBeCloseTo((numbers[3]! + 2) / 0.5, 12);
  expect(() => layer.forward(x.reshape([6, 2]))).toThrow('expected sets [N, elements, 2]');
});

/** Mean and covariance of pairs. */
function moments(rows: ArrayLike<number>) {
  const count = rows.length / 2;
  const mean = [0, 0];
  const second = [0, 0, 0, 0];
  for (let i = 0; i < rows.length; i++) mean[i % 2]! += rows[i]! / count;
  for (let n = 0; n < count; n++) {
    const d = [rows[2 * n]! - mean[0]!, rows[2 * n + 1]! - mean[1]!];
    for (let i = 0; i < 4; i++) second[i]! += (d[i >> 1]! * d[i & 1]!) / count;
  }
  return { mean, second };
}
