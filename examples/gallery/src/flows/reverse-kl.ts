/**
 * Flows fitted to densities without any data: to a banana and to Neal's funnel, by the reverse Kullback–Leibler
 * divergence with the gradient along the path. Importance weights tell how well they fit; log Z of both is 0. Then chains
 * of Hamiltonian Monte Carlo on the funnel, as it stands and in the latent of its flow.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { banana, funnel, type SmoothDensity } from '@invnet/datasets';
import { panels } from '@invnet/figures';
import {
  energyOf,
  Flow,
  hamiltonianMonteCarlo,
  importanceSample,
  neuTra,
  reverseKL,
  weightStatistics,
} from '@invnet/flows';
import { AffineTransformer, exp, reverse, silu, zeroGrad } from '@invnet/layers';
import { maskedAutoregressiveFlow } from '@invnet/networks';
import { RandomStream, type Tensor, tensor } from '@invnet/tensor';
import { Adam, clipFactor, gradientNorm, warmupCosine } from '@invnet/train';

/** An inverse autoregressive flow: one pass makes samples, and another one goes back through them. */
async function fitted(density: SmoothDensity, steps: number): Promise<Flow> {
  const random = new RandomStream(1);
  const transformer = new AffineTransformer({ scaleFunction: exp() });
  const sizes = { channels: 2, hidden: [32, 32], activation: silu() };
  const network = maskedAutoregressiveFlow({ ...sizes, transforms: 1, transformer, random });
  const flow = new Flow({ network: reverse(network) });
  const energy = energyOf(density);
  const adam = new Adam();
  const rate = warmupCosine({ rate: 1e-2, warmup: 50, steps });
  for (let step = 0; step < steps; step++) {
    zeroGrad(flow.parameters);
    reverseKL(flow, energy, { shape: [256, 2], seed: random }).dispose();
    // Samples far out in a tail now and then have gradients that would undo what was learned.
    const gradientScale = clipFactor(await gradientNorm(flow.parameters), 1);
    adam.step(flow.parameters, { learningRate: rate(step), gradientScale });
  }
  adam.dispose();
  return flow;
}

/** Prints how well a flow fits. */
async function weigh(name: string, flow: Flow, density: SmoothDensity): Promise<void> {
  const count = 50_000;
  const { x, logWeights } = importanceSample(flow, energyOf(density), {
    shape: [count, 2],
    seed: 2,
  });
  const { effectiveSampleSize, logZ, logZError } = weightStatistics(await logWeights.data());
  for (const t of [x, logWeights]) t.dispose();
  const share = (effectiveSampleSize / count).toFixed(3);
  console.log(`${name}: effective sample size ${share} of the samples, expected above 0.9`);
  const error = Math.abs(logZ).toFixed(4);
  console.log(
    `  log Z off by ${error}, expected below 0.01; its standard error ${logZError.toFixed(4)}`,
  );
}

const size = 120;

/** log p on a square, cut off at the bottom. */
async function picture(
  title: string,
  logDensity: (x: Tensor) => Tensor,
  { center, reach }: { center: readonly [number, number]; reach: number },
) {
  const at = (i: number) => ((i + 0.5) / size - 0.5) * 2 * reach;
  const points = Array.from({ length: size ** 2 }, (_, i) => [
    center[0] + at(i % size),
    center[1] - at(Math.floor(i / size)),
  ]);
  using logProb = logDensity(tensor(points));
  const values = Array.from(await logProb.data(), (l: number) => Math.max(l, -12));
  return { width: size, height: size, values, title };
}

const targets = [
  { name: 'banana', density: banana(), steps: 600, view: { center: [0, 1.5], reach: 4.5 } },
  { name: 'funnel', density: funnel(), steps: 2000, view: { center: [0, 0], reach: 9 } },
] as const;
const pictures = [];
for (const { name, density, steps, view } of targets) {
  const flow = await fitted(density, steps);
  await weigh(name, flow, density);
  pictures.push(await picture(`${name}, log p`, (x) => density.logDensity(x), view));
  pictures.push(await picture('its flow', (x) => flow.logProb(x), view));
  if (name !== 'funnel') continue;
  const options = { samples: 500, warmup: 200, steps: 8, seed: 3 };
  const start = new RandomStream(3).normal([16, 2]);
  const plain = await hamiltonianMonteCarlo(energyOf(density), { ...options, start });
  const latent = await neuTra(flow, energyOf(density), { ...options, shape: [16, 2] });
  for (const [where, chains] of [
    ['on the funnel', plain] as const,
    ['in its latent', latent] as const,
  ]) {
    const worth = chains.effectiveSampleSize[0]!.toFixed(0);
    console.log(
      `chains ${where}: R̂ ${chains.rHat[0]!.toFixed(3)}, 8000 draws worth ${worth}, ${chains.divergences} divergences`,
    );
  }
}
const figure = panels(pictures, { title: 'Flows fitted without data', columns: 2, size: 240 });
await mkdir('out/gallery', { recursive: true });
await writeFile('out/gallery/reverse-kl.svg', figure.svg);
console.log('written: out/gallery/reverse-kl.svg');
