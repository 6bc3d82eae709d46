/** ConditionalGlow learns p(x | context): here an image from its noisy observation. */
import { Flow } from '@invnet/flows';
import { ConditionalGlow } from '@invnet/networks';
import { add, affine, RandomStream } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const draw = () => {
  const x = random.normal([16, 1, 8, 8]);
  using noise = random.normal(x.shape, 0.5);
  return { x, context: add(x, noise) };
};
const network = new ConditionalGlow({
  channels: 1,
  contextChannels: 1,
  hidden: 16,
  scales: 1,
  steps: 2,
  random,
});
const flow = new Flow({ network });
await maximizeLikelihood(flow, draw, { steps: 30 });
const context = affine(random.normal([4, 1, 8, 8]), 1);
const samples = flow.sample({ shape: context.shape, seed: 2, context });
console.log('samples of the posterior:', samples.shape);
