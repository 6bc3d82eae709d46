/** Glow on points of the plane: `ndims: 0` makes it dense. */
import { twoMoons } from '@invnet/datasets';
import { Flow } from '@invnet/flows';
import { Glow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { maximizeLikelihood } from '../train.ts';

const random = new RandomStream(1);
const network = new Glow({ channels: 2, ndims: 0, hidden: 32, scales: 1, steps: 4, random });
await maximizeLikelihood(new Flow({ network }), () => ({ x: twoMoons().sample(256, random) }));
