/** What objectives for energies are for: densities without data, and a frozen flow refined by physics. */
import { funnel } from '@invnet/datasets';
import {
  AffineLayer,
  AffineTransformer,
  Autoregressive,
  ConditionalTransform,
  Conv1x1,
  exp,
  expClamp,
  reverse,
  Sequential,
  silu,
  zeroGrad,
} from '@invnet/layers';
import {
  adamUpdate,
  affine,
  clone,
  mul,
  RandomStream,
  setBackend,
  square,
  sum,
  sumPerSample,
  type Tensor,
  tensor,
  zerosLike,
} from '@invnet/tensor';
import { beforeEach, expect, it } from 'vitest';
import {
  type Energy,
  energyOf,
  Flow,
  hamiltonianMonteCarlo,
  importanceSample,
  latentPosterior,
  reverseKL,
  weightStatistics,
} from '../src/index.ts';

beforeEach(() => setBackend('wasm'));

/** Fits a flow by Adam, whose rate falls to 0. */
function fit(flow: Flow, loss: () => Tensor, steps: number, rate: number): void {
  const states = flow.parameters.map(({ data }) => ({ m: zerosLike(data), v: zerosLike(data) }));
  for (let step = 1; step <= steps; step++) {
    zeroGrad(flow.parameters);
    loss().dispose();
    const updates = flow.parameters.map((p, i) => ({
      ...states[i]!,
      target: p.data,
      grad: p.grad!,
      step,
    }));
    const learningRate = rate * (1 - step / (steps + 1));
    adamUpdate(updates, { learningRate, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, gradientScale: 1 });
  }
}

it('a funnel is fitted without data, and log Z is found', () => {
  const random = new RandomStream(1);
  const transformer = new AffineTransformer({ scaleFunction: exp() });
  const layer = new Autoregressive({
    channels: 2,
    hidden: [16, 16],
    activation: silu(),
    transformer,
    random,
  });
  const flow = new Flow({ network: reverse(layer) });
  const energy = energyOf(funnel({ deviation: 1.5 }));
  fit(flow, () => reverseKL(flow, energy, { shape: [128, 2], seed: random }), 500, 2e-2);
  const { logWeights } = importanceSample(flow, energy, { shape: [20_000, 2], seed: 2 });
  const { effectiveSampleSize, logZ } = weightStatistics(logWeights.dataSync());
  expect(effectiveSampleSize / 20_000).toBeGreaterThan(0.9);
  expect(Math.abs(logZ)).toBeLessThan(0.01);
});

/** A mean and a matrix of the plane as [x₁, x₂] and [a, b, c, d]. */
type Moments = { mean: number[]; covariance: number[] };

/** Mean and covariance of what an affine map makes of standard normal numbers. */
function momentsOf(map: (z: Tensor) => Tensor): Moments {
  const [a, b, c, d, e, f] = map(
    tensor([
      [0, 0],
      [1, 0],
      [0, 1],
    ]),
  ).dataSync();
  const [m, n] = [
    [c! - a!, d! - b!],
    [e! - a!, f! - b!],
  ];
  const products = (i: 0 | 1, j: 0 | 1) => m[i]! * m[j]! + n[i]! * n[j]!;
  return {
    mean: [a!, b!],
    covariance: [products(0, 0), products(0, 1), products(1, 0), products(1, 1)],
  };
}

function inverted([a, b, c, d]: number[]): number[] {
  const det = a! * d! - b! * c!;
  return [d! / det, -b! / det, -c! / det, a! / det];
}

it('a flow given an observation is refined by physics to the posterior, and chains find it as well', async () => {
  // The prior: what a conditional flow says for one observation. Its numbers stay.
  const sizes = {
    channels: 2,
    contextChannels: 1,
    hidden: 3,
    ndims: 0,
    random: new RandomStream(4),
  };
  const transformer = new AffineTransformer({ scaleFunction: expClamp() });
  const prior = new Flow({ network: new ConditionalTransform({ ...sizes, transformer }) });
  for (const p of prior.parameters) p.assign(new RandomStream(5).normal(p.shape, 0.4));
  const before = prior.parameters.map((p) => clone(p.data).dataSync());
  const context = tensor([[0.7]]);
  // The physics: a number seen of both, y = x₁ + 2x₂ + 0.5 n.
  const [row, seen, noise] = [tensor([1, 2], [1, 2]), 1.3, 0.5];
  const residual = (x: Tensor) => affine(sum(mul(x, row), { axes: [1], keepDims: true }), 1, -seen);
  const misfit: Energy = {
    value: (x) => affine(sumPerSample(square(residual(x))), 0.5 / noise ** 2),
    withGradient: (x) => ({
      value: misfit.value(x),
      gradient: affine(mul(residual(x), row), 1 / noise ** 2),
    }),
  };
  const prior0 = momentsOf((z) => prior.network.inverse(z, context).x);
  const precision = inverted(prior0.covariance).map((v, i) => v + [1, 2, 2, 4][i]! / noise ** 2);
  const covariance = inverted(precision);
  const gain = [1, 2].map((v) => v / noise ** 2);
  const miss = seen - prior0.mean[0]! - 2 * prior0.mean[1]!;
  const mean = prior0.mean.map(
    (m, i) => m + (covariance[2 * i]! * gain[0]! + covariance[2 * i + 1]! * gain[1]!) * miss,
  );

  const posterior = latentPosterior(prior, misfit, context);
  const random = new RandomStream(6);
  const layers = [
    new Conv1x1({ channels: 2, parametrization: 'plu', random }),
    new AffineLayer({ channels: 2 }),
  ];
  const correction = new Flow({ network: reverse(new Sequential(layers)) });
  fit(
    correction,
    () => reverseKL(correction, posterior, { shape: [64, 2], seed: random }),
    300,
    0.05,
  );
  const found = momentsOf((w) => {
    const { x: z } = correction.network.inverse(w);
    return prior.network.inverse(z, context).x;
  });
  const spread = Math.sqrt(covariance[0]! + covariance[3]!);
  found.mean.forEach((m, i) => {
    expect(Math.abs(m - mean[i]!) / spread).toBeLessThan(0.001);
  });
  found.covariance.forEach((v, i) => {
    expect(Math.abs(v - covariance[i]!) / (covariance[0]! + covariance[3]!)).toBeLessThan(0.001);
  });
  expect(prior.parameters.every((p) => !p.grad)).toBe(true);
  expect(prior.parameters.map((p) => p.data.dataSync())).toEqual(before);

  const start = new RandomStream(7).normal([16, 2]);
  const chains = await hamiltonianMonteCarlo(posterior, {
    start,
    samples: 200,
    warmup: 100,
    seed: 8,
  });
  const { x } = prior.network.inverse(chains.samples.reshape([-1, 2]), context);
  const values = x.dataSync();
  const means = [0, 1].map(
    (i) => values.filter((_, k) => k % 2 === i).reduce((a, b) => a + b) / (values.length / 2),
  );
  means.forEach((m, i) => {
    const error = Math.sqrt(covariance[3 * i]! / Math.min(...chains.effectiveSampleSize));
    expect(Math.abs(m - mean[i]!)).toBeLessThan(4 * error);
  });
});
