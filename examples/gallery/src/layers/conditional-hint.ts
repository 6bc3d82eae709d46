/** The joint map of data and condition; the condition's lane stands alone. */
import { ConditionalHintCoupling } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const random = new RandomStream(1);
const [x, y] = [random.normal([4, 4, 8, 8]), random.normal([4, 2, 8, 8])];
const layer = new ConditionalHintCoupling({
  channels: 4,
  conditionChannels: 2,
  hidden: 16,
  random,
});

const { y: z } = layer.forward([x, y]);
const { x: back } = layer.inverse(z);
await report('data', back[0], x);
await report('condition', back[1], y);
await report('the lane alone', layer.lane.forward(y).y, z[1]);
