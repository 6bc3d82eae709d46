/** Rows of the layers that Glow is made of. */
import {
  ActNorm,
  Conv1x1,
  expClamp,
  GlowCoupling,
  HaarSqueeze,
  Logit,
  ShuffleSqueeze,
  sigmoid,
} from '@invnet/layers';
import type { RandomStream, Shape } from '@invnet/tensor';
import { even, odd, type Row, random } from '../row.ts';

const inUnitInterval = (stream: RandomStream, shape: Shape) => stream.uniform(shape, 0.02, 0.98);

export function layerRows(ndims: number): Row[] {
  const coupling = (options: object = {}) =>
    new GlowCoupling({ channels: 3, hidden: 4, ndims, random: random(), ...options });
  const anywhere: Row[] = [
    { name: 'ActNorm', shape: [3, 2, ...odd(ndims)], make: () => new ActNorm({ channels: 2 }) },
    {
      name: 'Logit',
      shape: [2, 2, ...odd(ndims)],
      make: () => new Logit({ lambda: 0.01 }),
      draw: inUnitInterval,
    },
    {
      name: 'Conv1x1',
      shape: [2, 4, ...odd(ndims)],
      make: () => new Conv1x1({ channels: 4, random: random() }),
    },
    {
      name: 'Conv1x1, frozen',
      shape: [2, 3, ...odd(ndims)],
      make: () => new Conv1x1({ channels: 3, frozen: true, random: random() }),
    },
    { name: 'GlowCoupling', shape: [2, 3, ...odd(ndims)], make: () => coupling() },
    {
      name: 'GlowCoupling, expClamp',
      shape: [2, 3, ...odd(ndims)],
      make: () => coupling({ scaleFunction: expClamp({ clamp: 1 }) }),
    },
    {
      name: 'GlowCoupling, sigmoid from 0.2 to 3',
      shape: [2, 3, ...odd(ndims)],
      make: () => coupling({ scaleFunction: sigmoid({ low: 0.2, high: 3 }) }),
    },
  ];
  const squeezes: Row[] = [
    ...(['column', 'patch', 'checkerboard'] as const).map((pattern) => ({
      name: `ShuffleSqueeze, ${pattern}`,
      shape: [2, 2, ...even(ndims)],
      make: () => new ShuffleSqueeze({ pattern }),
    })),
    { name: 'HaarSqueeze', shape: [2, 2, ...even(ndims)], make: () => new HaarSqueeze() },
  ];
  return ndims === 0 ? anywhere : [...anywhere, ...squeezes];
}
