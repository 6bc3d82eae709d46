/** Leapfrog steps on two time levels, which keep, halve or double the resolution. */
import { HyperbolicLayer } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const state = [random.normal([2, 4, 8, 8]), random.normal([2, 4, 8, 8])] as const;
for (const resolution of ['keep', 'halve', 'double'] as const) {
  const layer = new HyperbolicLayer({ channels: 4, hidden: 8, resolution, stepSize: 0.5, random });
  const { y } = layer.forward(state);
  console.log(resolution, state[1].shape, '→', y[1].shape);
  await report('inverse', layer.inverse(y).x[0], state[0]);
}
