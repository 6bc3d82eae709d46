/** The parts of a network: listed, kept from training, and replaced by others. */
import {
  countParameters,
  freeze,
  moduleAt,
  ResNet,
  replacePart,
  summary,
  unfreeze,
} from '@invnet/layers';
import { Glow } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const net = new Glow({ channels: 1, hidden: 16, scales: 1, steps: 2, random });
console.log(summary(net, { input: [16, 1, 8, 8] }));

console.log('\nkept as they are:', freeze(net, '**.conv1x1'));
console.log('trained:', countParameters(net, { trained: true }), 'of', countParameters(net));
unfreeze(net, '**');

const path = 'scales.0.steps.1.coupling.conditioner';
const part = new ResNet({ inChannels: 2, hidden: 32, outChannels: 4, random });
const other = replacePart(net, path, part);
console.log(`${path}: ${moduleAt(net, path).type} →`, moduleAt(other, path).type);
const x = random.normal([16, 1, 8, 8]);
await report('inverse with it', other.inverse(other.forward(x).y).x, x);
