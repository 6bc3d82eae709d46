/** Glow on images, trained by maximum likelihood on smooth random ones. */
import { Flow } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { conv, full, RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const blur = full([1, 1, 3, 3], 1 / 9);
const draw = () => {
  using noise = random.normal([16, 1, 10, 10]);
  return { x: conv(noise, blur) };
};
const flow = new Flow({
  network: new Glow({ channels: 1, hidden: 16, scales: 2, steps: 2, random }),
});
await maximizeLikelihood(flow, draw, { steps: 30 });
const x = flow.sample({ shape: [4, 1, 8, 8], seed: 3 });
await report('inverse', flow.network.inverse(flow.network.forward(x).y).x, x);
