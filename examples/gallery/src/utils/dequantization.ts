/**
 * Images of few levels: uniform noise between the levels, and noise that is trained along with the flow, for about as
 * long (a step of both takes 1.6 times one of the flow alone).
 */
import { loadMnist } from '@invnet/datasets';
import {
  bitsPerDim,
  dequantize,
  Flow,
  negativeLogLikelihood,
  VariationalDequantization,
  variationalLoss,
} from '@invnet/flows';
import { Logit, type Parameter, zeroGrad } from '@invnet/layers';
import { ConditionalGlow, Glow, Sequential } from '@invnet/networks';
import { RandomStream, type Tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';

const [levels, side, batch] = [2, 8, 128];
const { images } = await loadMnist({ split: 'test' });

/** Digits of 8 × 8 pixels, black or white: the means of 3 × 3 of the middle, of some digits from a place on. */
function digits(first: number, count: number): Uint8Array {
  const pixels = new Uint8Array(count * side * side);
  for (let i = 0; i < pixels.length; i++) {
    const [n, y, x] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side];
    let sum = 0;
    for (let j = 0; j < 9; j++) {
      const row = 2 + 3 * y + Math.floor(j / 3);
      sum += images[(first + n) * 784 + row * 28 + 2 + 3 * x + (j % 3)]!;
    }
    pixels[i] = Math.floor((sum / 9 / 256) * levels);
  }
  return pixels;
}

const shape = [batch, 1, side, side];
const sizes = { channels: 1, scales: 1, steps: 4, hidden: 16 };
const flowOf = () =>
  new Flow({
    network: new Sequential({
      logit: new Logit({ lambda: 0.05 }),
      glow: new Glow({ ...sizes, random: new RandomStream(1) }),
    }),
  });

/** Trains, and gives nats per image of digits that were not trained on. */
async function fitted(
  steps: number,
  parameters: readonly Parameter[],
  loss: (pixels: Uint8Array, random: RandomStream) => Tensor,
): Promise<number> {
  const [random, adam] = [new RandomStream(2), new Adam()];
  for (let step = 0; step < steps; step++) {
    zeroGrad(parameters);
    using _ = loss(digits((step * batch) % 8000, batch), random);
    adam.step(parameters, { learningRate: 3e-3 });
  }
  let nats = 0;
  for (let part = 0; part < 10; part++) {
    using value = loss(digits(8000 + part * batch, batch), random);
    nats += (await value.data())[0]! / 10;
  }
  adam.dispose();
  return nats;
}

const bits = (nats: number) => bitsPerDim(nats, side ** 2, levels).toFixed(3);

const plain = flowOf();
const uniform = await fitted(200, plain.parameters, (pixels, random) => {
  using x = dequantize(pixels, shape, random, levels);
  return negativeLogLikelihood(plain, x);
});
console.log(`uniform noise: ${bits(uniform)} bits per pixel`);

const noise = new Flow({
  network: new ConditionalGlow({
    ...sizes,
    steps: 2,
    contextChannels: 1,
    random: new RandomStream(3),
  }),
});
const model = new VariationalDequantization({ flow: flowOf(), noise, levels });
const variational = await fitted(120, model.parameters, (pixels, random) =>
  variationalLoss(model, pixels, { shape, seed: random }),
);
console.log(`trained noise: ${bits(variational)} bits per pixel`);
console.log(`held-out ${variational.toFixed(2)} nats, expected below ${uniform.toFixed(2)}`);
