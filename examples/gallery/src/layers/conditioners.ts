/** Conditioners, which need not be invertible: what backward needs is returned by forward. */
import {
  ConditionalResidualBlock,
  type Conditioner,
  CustomBlock,
  ResidualBlock,
  ResNet,
} from '@invnet/layers';
import { affine, mul, RandomStream, square, tidy } from '@invnet/tensor';

const random = new RandomStream(1);
const sizes = { inChannels: 2, hidden: 8, outChannels: 4, random };
const x = random.normal([4, 2, 16, 16]);
const context = random.normal([4, 10]);

/** y = x², with its backward by hand. */
const squares = new CustomBlock({
  forward: (u) => ({ y: square(u), saved: { u, dispose() {} } }),
  backward: (dy, { u }) => ({ dx: tidy(() => affine(mul(dy, u), 2)) }),
});
const blocks: Record<string, Conditioner> = {
  ResidualBlock: new ResidualBlock(sizes),
  'ResidualBlock, 3D': new ResidualBlock({ ...sizes, ndims: 3 }),
  ConditionalResidualBlock: new ConditionalResidualBlock({
    ...sizes,
    contextSize: 10,
    size: [16, 16],
  }),
  ResNet: new ResNet(sizes),
  CustomBlock: squares,
};
for (const [name, block] of Object.entries(blocks)) {
  const input = name.endsWith('3D') ? random.normal([1, 2, 4, 8, 8]) : x;
  const { y, saved } = block.forward(input, context);
  const { dx } = block.backward(y, saved);
  saved.dispose();
  console.log(name, input.shape, '→', y.shape, 'gradient:', dx.shape);
}
