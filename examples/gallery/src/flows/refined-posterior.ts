/**
 * A posterior that was learned for all observations, refined for one of them by physics. Of x from a standard normal,
 * y = x₂ + x₁²/2 + noise is seen. A conditional flow learns from pairs whose noise is three times what the instrument
 * has; then it stays as it is, and another flow of its latent is fitted to the right likelihood, without more pairs.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { panels } from '@invnet/figures';
import {
  type Energy,
  Flow,
  importanceSample,
  latentEnergy,
  reverseKL,
  weightStatistics,
} from '@invnet/flows';
import { AffineTransformer, expClamp, reverse, Sequential, silu, zeroGrad } from '@invnet/layers';
import { maskedAutoregressiveFlow } from '@invnet/networks';
import {
  add,
  affine,
  concat,
  mul,
  RandomStream,
  slice,
  square,
  sumPerSample,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Adam, clipFactor, gradientNorm, warmupCosine } from '@invnet/train';
import { maximizeLikelihood } from '../train.ts';

const [noise, seen] = [0.2, 1.5];
const random = new RandomStream(1);
const transformer = new AffineTransformer({ scaleFunction: expClamp({ clamp: 3 }) });
const layers = { channels: 2, hidden: [32, 32], activation: silu(), transformer, random };

const learned = new Flow({
  network: maskedAutoregressiveFlow({ ...layers, transforms: 4, contextChannels: 1 }),
});
const pairs = () => {
  const [x, e] = [random.normalArray(2 * 256), random.normalArray(256, 3 * noise)];
  const y = e.map((n, i) => x[2 * i + 1]! + x[2 * i]! ** 2 / 2 + n);
  return { x: tensor(x, [256, 2]), context: tensor(y, [256, 1]) };
};
await maximizeLikelihood(learned, pairs, { steps: 600, learningRate: 3e-3 });

/** (x₂ + x₁²/2 − y)/noise, [N, 1], and x₁. */
function misfit(x: Tensor) {
  const [first, second] = [slice(x, 1, 0, 1), slice(x, 1, 1, 1)];
  return {
    first,
    residual: affine(add(second, affine(square(first), 0.5)), 1 / noise, -seen / noise),
  };
}

/** Minus the logarithms of likelihood and prior. */
const posterior: Energy = {
  value: (x) => affine(add(sumPerSample(square(misfit(x).residual)), sumPerSample(square(x))), 0.5),
  withGradient: (x) => {
    const { first, residual } = misfit(x);
    const slope = affine(concat([mul(residual, first), residual], 1), 1 / noise);
    return { value: posterior.value(x), gradient: add(slope, x) };
  },
};

const context = tensor([[seen]]);
const correction = new Flow({
  network: reverse(maskedAutoregressiveFlow({ ...layers, transforms: 2 })),
});
const energy = latentEnergy(learned, posterior, context);
const [adam, steps] = [new Adam(), 600];
const rate = warmupCosine({ rate: 1e-2, warmup: 50, steps });
for (let step = 0; step < steps; step++) {
  zeroGrad(correction.parameters);
  reverseKL(correction, energy, { shape: [128, 2], seed: random }).dispose();
  const gradientScale = clipFactor(await gradientNorm(correction.parameters), 1);
  adam.step(correction.parameters, { learningRate: rate(step), gradientScale });
}
const refined = new Flow({ network: new Sequential([learned.network, correction.network]) });

const size = 120;
const at = (i: number) => ((i + 0.5) / size - 0.5) * 6;
const points = tensor(
  Array.from({ length: size ** 2 }, (_, i) => [at(i % size), -at(Math.floor(i / size))]),
);
const count = 10_000;
const flows = { 'learned from pairs': learned, 'refined by physics': refined };
const density = async (logProb: Tensor) => Array.from(await logProb.data(), Math.exp);
const pictures = [];
for (const [title, flow] of Object.entries(flows)) {
  const { logWeights } = importanceSample(flow, posterior, { shape: [count, 2], seed: 2, context });
  const { effectiveSampleSize, logZ } = weightStatistics(await logWeights.data());
  const share = (effectiveSampleSize / count).toFixed(3);
  const bound = flow === refined ? ', expected above 0.9' : '';
  console.log(
    `${title}: log Z ${logZ.toFixed(3)}, effective sample size ${share} of the samples${bound}`,
  );
  const values = await density(flow.logProb(points, context));
  pictures.push({ width: size, height: size, values, title });
  // Both estimate log Z, without which the density of the posterior is not known.
  if (flow !== refined) continue;
  const exact = await density(affine(posterior.value(points), -1, -logZ));
  pictures.unshift({ width: size, height: size, values: exact, title: 'the posterior' });
}
const figure = panels(pictures, { title: 'A posterior, learned and refined', size: 220 });
await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/refined-posterior.svg', figure.svg);
console.log('written: out/gallery/refined-posterior.svg');
