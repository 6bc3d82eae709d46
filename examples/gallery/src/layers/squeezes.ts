/** Squeezes: resolution into channels by shuffling, Haar and other wavelets; all orthogonal. */
import { HaarSqueeze, ShuffleSqueeze, WaveletSqueeze } from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { report } from '../check.ts';

const x = new RandomStream(1).normal([2, 1, 16, 16]);
const squeezes = {
  checkerboard: new ShuffleSqueeze({ pattern: 'checkerboard' }),
  patch: new ShuffleSqueeze({ pattern: 'patch' }),
  column: new ShuffleSqueeze({ pattern: 'column' }),
  Haar: new HaarSqueeze(),
  'Daubechies 4': new WaveletSqueeze({ wavelet: 'db4' }),
  'Coiflet 1': new WaveletSqueeze({ wavelet: 'coif1' }),
};
for (const [name, squeeze] of Object.entries(squeezes)) {
  const { y } = squeeze.forward(x);
  console.log(name, x.shape, '→', y.shape);
  await report('inverse', squeeze.inverse(y).x, x);
}
