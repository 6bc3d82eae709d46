/** Rows of element-wise maps, affine layers, PLU convolutions and wavelets. */
import {
  AffineLayer,
  Conv1x1,
  Elementwise,
  expClamp,
  type InvertibleActivation,
  leakyRelu,
  sigmoid,
  sigmoid2,
  softplus,
  tanh,
  type WaveletName,
  WaveletSqueeze,
} from '@invnet/layers';
import { even, odd, type Row, random } from '../row.ts';

export function elementaryRows(ndims: number): Row[] {
  const elementwise = (f: InvertibleActivation): Row => ({
    name: `Elementwise, ${f.name}`,
    shape: [2, 2, ...odd(ndims)],
    make: () => new Elementwise(f),
  });
  const wavelet = (name: WaveletName): Row => ({
    name: `WaveletSqueeze, ${name}`,
    shape: [2, 2, ...even(ndims)],
    make: () => new WaveletSqueeze({ wavelet: name }),
  });
  const plu = { parametrization: 'plu' as const };
  const anywhere: Row[] = [
    {
      name: 'AffineLayer',
      shape: [3, 2, ...odd(ndims)],
      make: () => new AffineLayer({ channels: 2, size: odd(ndims) }),
    },
    {
      name: 'Conv1x1, PLU',
      shape: [2, 5, ...odd(ndims)],
      make: () => new Conv1x1({ ...plu, channels: 5, random: random() }),
    },
    {
      name: 'Conv1x1, PLU, frozen',
      shape: [2, 3, ...odd(ndims)],
      make: () => new Conv1x1({ ...plu, channels: 3, frozen: true, random: random() }),
    },
    elementwise(leakyRelu({ slope: 0.3 })),
    elementwise(sigmoid({ low: -1, high: 2 })),
    elementwise(sigmoid2()),
    elementwise(tanh()),
    elementwise(softplus({ low: 0.1 })),
    elementwise(expClamp()),
  ];
  const wavelets = (['db1', 'db2', 'db5', 'sym4', 'coif1'] as const).map(wavelet);
  return ndims === 0 ? anywhere : [...anywhere, ...wavelets];
}
