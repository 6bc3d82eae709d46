/** i-RIM's coupling: mixing, additive coupling with a strided block, mixing undone. */
import { IrimCoupling, ResidualBlock } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const conditioner = new ResidualBlock({
  inChannels: 2,
  hidden: 16,
  outChannels: 2,
  kernel1: 4,
  kernel2: 3,
  stride: 4,
  outputActivation: 'galu',
  random,
});
const layer = new IrimCoupling({ channels: 4, conditioner, random });
const x = random.normal([4, 4, 16, 16]);
const { y } = layer.forward(x);
await report('inverse', layer.inverse(y).x, x);
