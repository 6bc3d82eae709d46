/** Conditioners, which need not be invertible: what backward needs is returned by forward. */
import {
  ConditionalResidualBlock,
  Conditioner,
  Conv,
  chain,
  gelu,
  LayerNorm,
  MultiHeadAttention,
  ResidualBlock,
  ResNet,
  residual,
  type Tangent,
  UNet,
} from '@invnet/layers';
import { affine, mul, RandomStream, type Shape, square, type Tensor } from '@invnet/tensor';

const random = new RandomStream(1);
const sizes = { inChannels: 2, hidden: 8, outChannels: 4, random };
const x = random.normal([4, 2, 16, 16]);
const context = random.normal([4, 10]);

/** One of our own: y = x², with its derivatives by hand. */
class Squares extends Conditioner<Tensor> {
  static readonly type = 'Squares';

  get options() {
    return {};
  }

  protected apply(x: Tensor) {
    return { y: square(x), saved: x };
  }

  protected applyBackward(dy: Tensor, x: Tensor) {
    return { dx: affine(mul(dy, x), 2) };
  }

  protected applyTangent(x: Tensor, { x: dx }: Tangent) {
    return { y: square(x), dy: dx && affine(mul(dx, x), 2) };
  }

  protected applyShape(x: Shape) {
    return x;
  }
}
const blocks: Record<string, Conditioner> = {
  ResidualBlock: new ResidualBlock(sizes),
  'ResidualBlock, 3D': new ResidualBlock({ ...sizes, ndims: 3 }),
  ConditionalResidualBlock: new ConditionalResidualBlock({
    ...sizes,
    contextSize: 10,
    size: [16, 16],
  }),
  ResNet: new ResNet(sizes),
  UNet: new UNet(sizes),
  'a chain, as in Flux and PyTorch': chain(
    new Conv({ inChannels: 2, outChannels: 8, random }),
    new LayerNorm({ channels: 8 }),
    gelu(),
    residual(new MultiHeadAttention({ channels: 8, heads: 2, random })),
    new Conv({ inChannels: 8, outChannels: 4, random }),
  ),
  'Squares, our own': new Squares(),
};
for (const [name, block] of Object.entries(blocks)) {
  const input = name.endsWith('3D') ? random.normal([1, 2, 4, 8, 8]) : x;
  const { y, saved } = block.forward(input, block.usesContext ? context : undefined);
  const { dx } = block.backward(y, saved);
  saved.dispose();
  console.log(name, input.shape, '→', y.shape, 'gradient:', dx.shape);
}
