/** A trainable summary of several observations as the context of a conditional network. */
import { Flow } from '@invnet/flows';
import { DenseBlock } from '@invnet/layers';
import { ConditionalGlow, SummarizedNetwork } from '@invnet/networks';
import { add, RandomStream, sum } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
// Ten observations of each number of x, in one row.
const draw = () => {
  const x = random.normal([128, 2]);
  using noise = random.normal([128, 2, 10]);
  using columns = x.reshape([128, 2, 1]);
  using observed = add(columns, noise);
  return { x, context: observed.reshape([128, 20]) };
};
const network = new SummarizedNetwork({
  network: new ConditionalGlow({
    channels: 2,
    contextChannels: 2,
    ndims: 0,
    hidden: 16,
    scales: 1,
    steps: 2,
    random,
  }),
  summary: new DenseBlock({ inChannels: 20, hidden: 32, outChannels: 2, random }),
});
const flow = new Flow({ network });
await maximizeLikelihood(flow, draw);
const { x, context } = draw();
const logProb = flow.logProb(x, context);
console.log('mean log p(x | observations):', (await sum(logProb).data())[0]! / 128);
