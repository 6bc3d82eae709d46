/** ActNorm: initialized by a batch, which it normalizes; inverts; recomputes its input in backward. */
import { ActNorm, initialize } from '@invnet/layers';
import { affine, full, mean, RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const norm = new ActNorm({ channels: 3 });
const x = affine(new RandomStream(1).normal([8, 3, 16, 16]), 4, 2);

await initialize(norm, x);
const { y, logdet } = norm.forward(x);
console.log('mean of the result:', (await mean(y).data())[0], 'logdet:', (await logdet.data())[0]);
await report('inverse', norm.inverse(y).x, x);

const { x: recomputed, dx } = norm.backward(y, y, { dlogdet: full([8], -1) });
await report('input recomputed by backward', recomputed, x);
console.log('gradient of the input:', dx.shape, 'of the scale:', await norm.scale.grad!.data());
