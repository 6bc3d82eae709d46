/** Rows of linear maps. */
import { ActNorm, AffineLayer, Conv1x1, type Conv1x1Options } from '@invnet/layers';
import { odd, type Row, random } from '../row.ts';

export function linearRows(ndims: number): Row[] {
  const size = odd(ndims);
  const conv1x1 = (name: string, options: Conv1x1Options): Row => ({
    name,
    shape: [2, options.channels, ...size],
    make: () => new Conv1x1({ ...options, random: random() }),
  });
  const plu = { parametrization: 'plu' as const };
  return [
    { name: 'ActNorm', shape: [3, 2, ...size], make: () => new ActNorm({ channels: 2 }) },
    {
      name: 'AffineLayer',
      shape: [3, 2, ...size],
      make: () => new AffineLayer({ channels: 2, size }),
    },
    conv1x1('Conv1x1', { channels: 4 }),
    conv1x1('Conv1x1, frozen', { channels: 3, frozen: true }),
    conv1x1('Conv1x1, PLU', { ...plu, channels: 5 }),
    conv1x1('Conv1x1, PLU, frozen', { ...plu, channels: 3, frozen: true }),
  ];
}
