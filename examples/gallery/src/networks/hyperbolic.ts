/** A hyperbolic network given by its architecture; it keeps volumes, so logdet is zero. */
import { HyperbolicNetwork } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const network = new HyperbolicNetwork({
  channels: 4,
  architecture: [
    { hidden: 8 },
    { resolution: 'halve', hidden: 16 },
    { hidden: 16 },
    { resolution: 'double', hidden: 8 },
  ],
  stepSize: 0.5,
  random,
});
const x = random.normal([2, 4, 16, 16]);
const { y, logdet } = network.forward([x, x]);
await report('inverse', network.inverse(y).x[1], x);
console.log(y[1].shape, 'logdet:', await logdet.data());
