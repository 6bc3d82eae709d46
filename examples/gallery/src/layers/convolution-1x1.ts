/** 1×1 convolutions: orthogonal by Householder reflections, or any matrix by PLU factors. */
import { Conv1x1 } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const x = new RandomStream(1).normal([4, 8, 16, 16]);
for (const parametrization of ['householder', 'plu'] as const) {
  const mix = new Conv1x1({ channels: 8, parametrization, random: new RandomStream(2) });
  const { y, logdet } = mix.forward(x);
  await report(`${parametrization}, inverse`, mix.inverse(y).x, x);
  console.log('logdet:', (await logdet.data())[0], 'parameters:', mix.parameters.length);
}
