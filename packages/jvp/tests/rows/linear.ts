/** Rows of linear maps. */
import {
  ActNorm,
  AffineLayer,
  ConditionalHouseholder,
  Conv1x1,
  type Conv1x1Options,
  conv1x1Of,
  Householder,
  InvertibleBatchNorm,
  Orthogonal,
  Permutation,
  type PermutationOptions,
  Standardization,
} from '@invnet/layers';
import { odd, type Row, random } from '../row.ts';

export function linearRows(ndims: number): Row[] {
  const size = odd(ndims);
  const conv1x1 = (name: string, options: Conv1x1Options): Row => ({
    name,
    shape: [2, options.channels, ...size],
    make: () => new Conv1x1({ ...options, random: random() }),
  });
  const permutation = (name: string, order: PermutationOptions['order']): Row => ({
    name,
    shape: [2, 5, ...size],
    make: () => new Permutation({ channels: 5, order, random: random() }),
  });
  const plu = { parametrization: 'plu' as const };
  return [
    { name: 'ActNorm', shape: [3, 2, ...size], make: () => new ActNorm({ channels: 2 }) },
    {
      name: 'AffineLayer',
      shape: [3, 2, ...size],
      make: () => new AffineLayer({ channels: 2, size }),
    },
    { name: 'Standardization', shape: [3, 3, ...size], make: standardization },
    conv1x1('Conv1x1', { channels: 4 }),
    conv1x1('Conv1x1, frozen', { channels: 3, frozen: true }),
    conv1x1('Conv1x1, PLU', { ...plu, channels: 5 }),
    conv1x1('Conv1x1, PLU, frozen', { ...plu, channels: 3, frozen: true }),
    conv1x1('Conv1x1, PLU of rows and signs', {
      ...plu,
      channels: 4,
      rows: [2, 0, 3, 1],
      signs: [1, -1, -1, 1],
    }),
    {
      name: 'Conv1x1, of a matrix',
      shape: [2, 3, ...size],
      make: () => conv1x1Of([0, 2, 1, -1, 0.5, 0, 0, 1, -1]),
    },
    ...reflectionRows(ndims),
    permutation('Permutation', [3, 4, 0, 2, 1]),
    permutation('Permutation, random', 'random'),
    permutation('Permutation, reversed', 'reversed'),
  ];
}

function standardization(): Standardization {
  const layer = new Standardization({ channels: 3 });
  layer.set({ mean: [1, -2, 0.5], deviation: [2, 0.5, 3] });
  return layer;
}

/** Rows of maps that do not care what a position is: on vectors, and in 2D. */
function reflectionRows(ndims: number): Row[] {
  if (ndims % 2 === 1) return [];
  const size = odd(ndims);
  const shape = [2, 3, ...size];
  const rows: Row[] = [
    {
      name: 'Householder',
      shape,
      make: () => new Householder({ channels: 3, reflections: 4, random: random() }),
    },
    {
      name: 'ConditionalHouseholder',
      shape,
      context: [2, 6],
      make: () => new ConditionalHouseholder({ channels: 3 }),
    },
    {
      name: 'Orthogonal',
      shape,
      make: () => new Orthogonal({ channels: 3, start: [0, 1, 0, -0.6, 0, 0.8, 0.8, 0, 0.6] }),
    },
    {
      name: 'Orthogonal, Cayley',
      shape,
      make: () => new Orthogonal({ channels: 3, map: 'cayley', random: random() }),
    },
    {
      name: 'InvertibleBatchNorm',
      shape: [4, 2, ...size],
      make: () => new InvertibleBatchNorm({ channels: 2, epsilon: 0.1 }),
    },
  ];
  if (ndims === 0) return rows;
  return [
    ...rows,
    {
      name: 'ConditionalHouseholder of each position',
      shape,
      context: [2, 3, ...size],
      make: () => new ConditionalHouseholder({ channels: 3, reflections: 1 }),
    },
  ];
}
