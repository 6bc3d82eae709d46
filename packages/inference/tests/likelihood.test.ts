/** Likelihoods: the exact posterior of many observations, an energy with its gradient, and what they say of bad priors. */
import type { HostArray } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { AffineTransformer, ConditionalTransform } from '@invnet/layers';
import { memory, RandomStream, setBackend, tensor } from '@invnet/tensor';
import { constant, modelBytes, modelFromBytes } from '@invnet/train';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  independentPrior,
  inferenceCatalogue,
  Likelihood,
  logNormalPrior,
  MissingDensityError,
  neuralLikelihood,
  normalPrior,
  Prior,
  type Simulator,
  simulate,
  uniformPrior,
} from '../src/index.ts';
import { likelihoodEnergy } from '../src/likelihoods/likelihood-energy.ts';

describe('of a linear Gaussian model', () => {
  // x = (a + b, a − b) + ε of deviation 1, ten times.
  const prior = normalPrior({ mean: [0, 0], deviation: [1, 2] });
  const simulator: Simulator = ([a, b], { random }) => {
    const [e, f] = random.normalArray(2);
    return [a! + b! + e!, a! - b! + f!];
  };
  const learning = {
    estimator: { kind: 'affine', transforms: 2, hidden: 24 },
    epochs: 20,
    batchSize: 100,
    schedule: constant(2e-3),
    seed: 1,
  } as const;
  let likelihood: Likelihood;
  let x: HostArray;

  beforeAll(async () => {
    await setBackend('wasm');
    const pairs = await simulate(simulator, prior, { count: 3000, seed: 4 }).result();
    ({ likelihood } = await neuralLikelihood(prior, pairs, learning).result());
    const random = new RandomStream(8);
    const noise = random.normalArray(20);
    x = { shape: [10, 2], data: noise.map((e, i) => e + (i % 2 === 0 ? 1 : -0.4)) };
  });
  afterAll(() => likelihood.dispose());

  it('samples the posterior of ten observations', async () => {
    const { tensors } = memory();
    const request = { prior, x, count: 960, seed: 2, chains: 48, warmup: 25 };
    const samples = await likelihood.sample(request);
    expect(samples.shape).toEqual([960, 2]);
    expect(samples.divergences).toBe(0);
    expect(Math.max(...samples.rHat)).toBeLessThan(1.1);
    // The posterior is normal, and a and b are independent: their precisions are 20 and that of the prior.
    const [sums, differences] = [1, -1].map((sign) =>
      Array.from({ length: 10 }, (_, k) => x.data[2 * k]! + sign * x.data[2 * k + 1]!).reduce(
        (all, value) => all + value,
        0,
      ),
    );
    for (const [c, sum, precision] of [
      [0, sums!, 21],
      [1, differences!, 20.25],
    ] as const) {
      const own = Array.from(samples.data.filter((_, i) => i % 2 === c));
      const mean = own.reduce((all, v) => all + v, 0) / own.length;
      const deviation = Math.sqrt(own.reduce((all, v) => all + (v - mean) ** 2, 0) / own.length);
      expect(Math.abs(mean - sum / precision)).toBeLessThan(0.12);
      expect(Math.abs(deviation * Math.sqrt(precision) - 1)).toBeLessThan(0.2);
    }
    expect(memory().tensors).toBe(tensors);
    expect(likelihood.flow.parameters.some((p) => p.frozen || p.grad)).toBe(false);
  });

  it('adds up over observations, and is the same from a file', async () => {
    const theta = prior.sample({ count: 5, seed: 1 });
    const one = (k: number) => likelihood.logProb({ x: x.data.slice(2 * k, 2 * k + 2), theta });
    const both = await likelihood.logProb({
      x: { shape: [2, 2], data: x.data.slice(0, 4) },
      theta,
    });
    const [first, second] = await Promise.all([one(0), one(1)]);
    both.forEach((value, i) => {
      expect(value).toBeCloseTo(first![i]! + second![i]!, 3);
    });
    const bytes = await modelBytes(likelihood);
    const loaded = modelFromBytes(bytes, { modules: inferenceCatalogue, as: Likelihood });
    expect(await loaded.logProb({ x, theta })).toEqual(await likelihood.logProb({ x, theta }));
    loaded.dispose();
  });

  it('needs the gradient of a prior of its own support', async () => {
    const bare = new Prior({
      support: prior.support,
      sample: (count, random) => random.normalArray(2 * count),
      logDensity: () => 0,
    });
    const request = { x, count: 10, seed: 1 };
    await expect(likelihood.sample({ ...request, prior: bare })).rejects.toThrow(
      MissingDensityError,
    );
    const other = uniformPrior({ low: [0, 0], high: [1, 1] });
    await expect(likelihood.sample({ ...request, prior: other })).rejects.toThrow('the support');
  });
});

it('has an energy whose gradient is its derivative, and samples within bounds', async () => {
  await setBackend('reference', { dtype: 'float64' });
  const prior = independentPrior([
    uniformPrior({ low: [0], high: [2] }),
    logNormalPrior({ mean: [0], deviation: [1] }),
  ]);
  const random = new RandomStream(3);
  const transformer = new AffineTransformer();
  const sizes = { channels: 2, contextChannels: 2, hidden: 8, ndims: 0, transformer, random };
  const flow = new Flow({ network: new ConditionalTransform(sizes) });
  const parts = {
    flow,
    prior,
    toSupport: prior.toSupport(),
    x: random.normal([3, 2]),
    mean: random.normal([1, 2]),
    deviation: random.uniform([1, 2], 0.5, 1),
  };
  const energy = likelihoodEnergy(parts);
  const v = random.normalArray(8);
  const at = async (i: number, h: number) => {
    const moved = v.map((value, j) => (j === i ? value + h : value));
    return (await energy.value(tensor(moved, [4, 2])).data()).reduce((sum, u) => sum + u, 0);
  };
  const { value, gradient } = energy.withGradient(tensor(v, [4, 2]));
  expect(await value.data()).toEqual(await energy.value(tensor(v, [4, 2])).data());
  const slopes = await gradient.data();
  for (let i = 0; i < 8; i++) {
    expect(slopes[i]).toBeCloseTo(((await at(i, 1e-5)) - (await at(i, -1e-5))) / 2e-5, 6);
  }
  const likelihood = new Likelihood({ flow, support: prior.support, features: 2 });
  const x = [0.5, -1];
  const { data } = await likelihood.sample({ prior, x, count: 40, seed: 1, chains: 4, warmup: 8 });
  expect(prior.contains({ shape: [40, 2], data })).not.toContain(false);
});
