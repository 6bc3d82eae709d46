/** MultiScaleHint on images. */
import { Flow } from '@invnet/flows';
import { MultiScaleHint } from '@invnet/networks';
import { affine, RandomStream } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const network = new MultiScaleHint({ channels: 1, hidden: 8, scales: 2, steps: 1, random });
const draw = () => {
  using z = random.normal([16, 1, 8, 8]);
  return { x: affine(z, 0.3, 1) };
};
await maximizeLikelihood(new Flow({ network }), draw, { steps: 20 });
