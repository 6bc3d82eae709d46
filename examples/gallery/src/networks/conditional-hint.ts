/** ConditionalHint: the joint density of x and y = Ax + noise, then samples of x for one y. */
import { Flow } from '@invnet/flows';
import { Flattened, flattenPair } from '@invnet/layers';
import { ConditionalHint } from '@invnet/networks';
import { add, affine, full, mean, RandomStream } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const network = new ConditionalHint({ channels: 2, ndims: 0, hidden: 32, steps: 3, random });
const flow = new Flow({ network: new Flattened(network, [[2], [2]]) });
const draw = () => {
  using x = random.normal([256, 2]);
  using noise = random.normal([256, 2], 0.3);
  using double = affine(x, 2);
  using y = add(double, noise);
  return { x: flattenPair([x, y]) };
};
await maximizeLikelihood(flow, draw);

const observed = full([500, 2], 1);
const { y: known } = network.lane.forward(observed);
const { x: posterior } = network.inverse([random.normal([500, 2]), known]);
console.log(
  'posterior mean for y = 1:',
  (await mean(posterior[0]).data())[0],
  '(expected about 0.49)',
);
