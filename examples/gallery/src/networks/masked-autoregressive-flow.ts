/**
 * Masked autoregressive flows on a chain of variables, each of which the one before it causes. One layer that is told
 * the chain comes closest to the entropy of the data, two layers of both orders come next, and affine couplings of as
 * many parameters stay behind. Then which numbers of the first one's latent depend on which of the data.
 */
import { Flow } from '@invnet/flows';
import { type Bijection, countParameters, tanh } from '@invnet/layers';
import { Glow, maskedAutoregressiveFlow } from '@invnet/networks';
import { mean, RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const [channels, noise] = [6, 0.3];

/** x₁ = z₁, and xᵢ = sin 2xᵢ₋₁ + noise·zᵢ. */
function draw(n: number, random: RandomStream): Tensor {
  const points = random.normalArray(channels * n);
  for (const [i, z] of points.entries()) {
    if (i % channels > 0) points[i] = Math.sin(2 * points[i - 1]!) + noise * z;
  }
  return tensor(points, [n, channels]);
}

const entropy = (channels / 2) * (1 + Math.log(2 * Math.PI)) + (channels - 1) * Math.log(noise);
const chain = Array.from({ length: channels }, (_, i) =>
  Array.from({ length: channels }, (__, j) => j === i - 1),
);
const random = new RandomStream(1);
const sizes = { channels, hidden: [60, 60], random, activation: tanh() };
const causal = maskedAutoregressiveFlow({ ...sizes, transforms: 1, adjacency: chain });
const networks: Record<string, Bijection> = {
  'one layer, of the chain': causal,
  'two layers, of both orders': maskedAutoregressiveFlow({ ...sizes, transforms: 2 }),
  'affine couplings': new Glow({ channels, ndims: 0, scales: 1, steps: 6, hidden: 36, random }),
};
const heldOut = draw(2000, new RandomStream(2));
for (const [name, network] of Object.entries(networks)) {
  const flow = new Flow({ network });
  console.log(`${name}, ${countParameters(flow)} parameters`);
  const batches = new RandomStream(3);
  await maximizeLikelihood(flow, () => ({ x: draw(128, batches) }), {
    steps: 300,
    learningRate: 1e-2,
  });
  using logProb = tidy(() => mean(flow.logProb(heldOut)));
  console.log(
    `  held out: ${(-(await logProb.data())[0]!).toFixed(2)} nats, of which ${entropy.toFixed(2)} are the data's`,
  );
}

const identity = Array.from({ length: channels }, (_, i) =>
  Array.from({ length: channels }, (__, j) => Number(i === j)),
);
const points = tensor(Array.from({ length: channels }, () => Array<number>(channels).fill(0.5)));
const { dy } = causal.jvp(points, { x: tensor(identity) }); // row j: the derivative by the j-th variable
const slopes = await dy.data();
for (let i = 0; i < channels; i++) {
  const row = identity.map((_, j) => (slopes[j * channels + i] === 0 ? '·' : '■'));
  console.log(`z${i + 1}  ${row.join(' ')}`);
}
