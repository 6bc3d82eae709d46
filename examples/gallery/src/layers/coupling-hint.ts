/** HINT: a coupling within the halves as well; with blocks per node, or shared per level. */
import { HintCoupling } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const x = new RandomStream(1).normal([4, 8, 8, 8]);
for (const shared of [false, true]) {
  const options = { channels: 8, hidden: 16, permute: 'full', shared } as const;
  const hint = new HintCoupling({ ...options, random: new RandomStream(2) });
  const { y, logdet } = hint.forward(x);
  await report(`shared: ${shared}, inverse`, hint.inverse(y).x, x);
  console.log('logdet:', (await logdet.data())[0], 'parameters:', hint.parameters.length);
}
