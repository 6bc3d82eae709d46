/** A scale per position, and activations as layers; each with its log-determinant. */
import { AffineLayer, Elementwise, expClamp, leakyRelu, sigmoid, softplus } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const x = new RandomStream(1).normal([4, 2, 8, 8]);
const layers = {
  affine: new AffineLayer({ channels: 2, size: [8, 8] }),
  'leaky ReLU': new Elementwise(leakyRelu({ slope: 0.2 })),
  sigmoid: new Elementwise(sigmoid({ low: -1, high: 1 })),
  softplus: new Elementwise(softplus()),
  'soft-clamped exponential': new Elementwise(expClamp()),
};
for (const [name, layer] of Object.entries(layers)) {
  const { y, logdet } = layer.forward(x);
  await report(`${name}, inverse`, layer.inverse(y).x, x);
  console.log('logdet:', (await logdet.data())[0]);
}
