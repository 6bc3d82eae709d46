/** Composition and reversal: networks are bijections, and so is what is made of them. */
import { ActNorm, Conv1x1, GlowCoupling, HaarSqueeze, initialize } from '@invnet/layers';
import { compose, Glow, reverse } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const squeeze = new HaarSqueeze();
const net = compose(
  squeeze,
  new ActNorm({ channels: 4 }),
  new Conv1x1({ channels: 4, random }),
  new GlowCoupling({ channels: 4, hidden: 8, random }),
  reverse(squeeze),
  new Glow({ channels: 1, hidden: 8, scales: 1, steps: 1, random }),
);
const x = random.normal([4, 1, 8, 8]);
await initialize(net, x);
const { y } = net.forward(x);
await report('inverse', net.inverse(y).x, x);
await report('reverse', reverse(net).forward(y).y, x);
console.log(net.parameters.map((p) => p.name).slice(0, 4));
