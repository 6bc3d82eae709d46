/** Lists of parameters as vectors: norms, sums, and one flat tensor. */
import {
  addVectors,
  dotVectors,
  flatten,
  normOfVector,
  scaleVector,
  unflatten,
} from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { report } from '../check.ts';

const net = new Glow({ channels: 1, hidden: 4, scales: 1, steps: 1 });
const theta = net.parameters.map((p) => p.data);
const double = addVectors(theta, scaleVector(theta, 0.5), 2);
console.log('‖θ‖ =', await normOfVector(theta), '⟨θ, 2θ⟩ =', await dotVectors(theta, double));

const flat = flatten(theta);
console.log(net.parameters.length, 'parameters,', flat.size, 'numbers');
await report('there and back', unflatten(flat, net.parameters)[0]!, theta[0]!);
