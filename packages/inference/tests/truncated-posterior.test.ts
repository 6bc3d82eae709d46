/** Truncated rounds: the right posterior where it is narrow, from simulations that lie where it is. */
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import { constant } from '@invnet/train';
import { beforeAll, expect, it } from 'vitest';
import {
  normalPrior,
  type PosteriorDensityOptions,
  type PosteriorSampleOptions,
  Prior,
  type Simulator,
  truncatedPosterior,
  uniformPrior,
} from '../src/index.ts';
import { drawTruncated } from '../src/posteriors/truncated-prior.ts';

beforeAll(() => setBackend('wasm'));

const deviation = 0.05;
const simulator: Simulator = ([a, b], { random }) => {
  const [e, f] = random.normalArray(2, deviation);
  return [a! + e!, b! + f!];
};
const learning = {
  estimator: { kind: 'affine', transforms: 2, hidden: 24 },
  epochs: 20,
  batchSize: 50,
  schedule: constant(3e-3),
} as const;
const options = { x: [0.3, -0.4], count: 400, rounds: 3, seed: 3, learning };

it('finds a narrow posterior, with simulations where it is', async () => {
  const prior = normalPrior({ mean: [0, 0], deviation: [1, 1] });
  const { tensors } = memory();
  const run = truncatedPosterior(simulator, prior, options);
  const rounds = new Set<number>();
  for await (const { round } of run) rounds.add(round);
  expect([...rounds]).toEqual([1, 2, 3]);
  const { posterior, simulations, acceptance } = await run.result();
  // The region is not far from the smallest one that holds the posterior, of radius 4.3 deviations.
  expect(acceptance[0]).toBe(1);
  expect(acceptance[2]).toBeGreaterThan(0.01);
  expect(acceptance[2]).toBeLessThan(0.1);
  expect(simulations.theta.shape).toEqual([1200, 2]);
  const last = simulations.theta.data.slice(1600);
  expect(last.every((v, i) => Math.abs(v - options.x[i % 2]!) < 1)).toBe(true);
  const { data } = await posterior.sample({ x: options.x, count: 2000, seed: 1 });
  for (const c of [0, 1]) {
    const own = Array.from(data.filter((_, i) => i % 2 === c));
    const mean = own.reduce((sum, v) => sum + v, 0) / 2000;
    const variance = own.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 2000;
    expect(Math.abs(mean - options.x[c]!)).toBeLessThan(0.4 * deviation);
    expect(Math.sqrt(variance) / deviation).toBeGreaterThan(0.75);
    expect(Math.sqrt(variance) / deviation).toBeLessThan(1.3);
  }
  posterior.dispose();
  expect(memory().tensors).toBe(tensors);
});

it('refuses an observation that is not finite before anything is simulated', () => {
  const prior = uniformPrior({ low: [0], high: [1] });
  const options = { x: [Number.NaN], count: 10, seed: 1 };
  expect(() => truncatedPosterior(() => [1], prior, options)).toThrow('number 0 of x is NaN');
});

it('weighs draws of the posterior where the prior is too wide, and needs its density for that', async () => {
  const wide = uniformPrior({ low: [-50, -50], high: [50, 50] });
  const s = 1e-3;
  /** A normal distribution of deviation s. */
  const posterior = {
    sample: async ({ count, seed }: PosteriorSampleOptions) => {
      const random = seed instanceof RandomStream ? seed : new RandomStream(seed);
      return { shape: [count, 2], data: random.normalArray(2 * count, s) };
    },
    logProb: async ({ theta: { data } }: PosteriorDensityOptions) =>
      Float64Array.from({ length: data.length / 2 }, (_, i) => {
        const [a, b] = data.subarray(2 * i, 2 * i + 2);
        return -0.5 * ((a! / s) ** 2 + (b! / s) ** 2) - Math.log(2 * Math.PI * s * s);
      }),
  };
  const truncation = { x: [0], mass: 1e-3, random: new RandomStream(1) };
  const { theta, acceptance } = await drawTruncated(wide, posterior, 500, truncation);
  expect(acceptance).toBeLessThan(1e-3);
  const squares = Array.from({ length: 500 }, (_, i) => {
    const [a, b] = theta.data.subarray(2 * i, 2 * i + 2);
    return (a! / s) ** 2 + (b! / s) ** 2;
  });
  // The region is a disk of radius √(2 log 1000); parameters spread over it, and not as the posterior, whose mean is 2.
  expect(Math.max(...squares)).toBeLessThan(1.3 * 2 * Math.log(1000));
  expect(squares.reduce((sum, square) => sum + square, 0) / 500).toBeGreaterThan(4);
  const bare = new Prior({
    support: wide.support,
    sample: (count, random) => random.uniformArray(2 * count, -50, 50),
  });
  await expect(drawTruncated(bare, posterior, 5, truncation)).rejects.toThrow(
    'no density to weigh',
  );
});
