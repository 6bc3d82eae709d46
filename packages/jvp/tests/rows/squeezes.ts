/** Rows of squeezes. */
import {
  HaarSqueeze,
  type ShufflePattern,
  ShuffleSqueeze,
  type SqueezeOrder,
  type WaveletName,
  WaveletSqueeze,
} from '@invnet/layers';
import { even, type Row } from '../row.ts';

export function squeezeRows(ndims: number): Row[] {
  // Vectors have no resolution to halve.
  if (ndims === 0) return [];
  const shape = [2, 2, ...even(ndims)];
  const shuffle = (pattern: ShufflePattern, order?: SqueezeOrder): Row => ({
    name: `ShuffleSqueeze, ${pattern}${order ? ` by ${order}` : ''}`,
    shape,
    make: () => new ShuffleSqueeze({ pattern, ...(order && { order }) }),
  });
  const wavelet = (name: WaveletName): Row => ({
    name: `WaveletSqueeze, ${name}`,
    shape,
    make: () => new WaveletSqueeze({ wavelet: name }),
  });
  return [
    ...(['column', 'patch', 'checkerboard'] as const).map((pattern) => shuffle(pattern)),
    shuffle('column', 'position'),
    shuffle('patch', 'channel'),
    shuffle('checkerboard', 'channel'),
    { name: 'HaarSqueeze', shape, make: () => new HaarSqueeze() },
    ...(['db1', 'db2', 'db5', 'sym4', 'coif1'] as const).map(wavelet),
  ];
}
