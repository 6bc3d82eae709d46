/** Rows of autoregressive maps, which take vectors alone. */
import {
  AdditiveTransformer,
  Autoregressive,
  type AutoregressiveOptions,
  RationalQuadraticSpline,
  tanh,
} from '@invnet/layers';
import { type Row, random } from '../row.ts';

export function autoregressiveRows(ndims: number): Row[] {
  if (ndims > 0) return [];
  const row = (name: string, options: () => AutoregressiveOptions): Row => ({
    name: `Autoregressive, ${name}`,
    shape: [2, 3],
    make: () => new Autoregressive({ channels: 3, random: random(), ...options() }),
  });
  return [
    row('affine', () => ({ hidden: [5, 4] })),
    {
      ...row('reversed, preactivated blocks, added context', () => ({
        transformer: new AdditiveTransformer(),
        order: 'reversed',
        blocks: 'preactivated',
        hidden: [4],
        contextChannels: 2,
        context: 'added',
      })),
      context: [2, 2],
    },
    {
      ...row('splines, of a graph, residual blocks, joined context', () => ({
        transformer: new RationalQuadraticSpline({ bins: 3 }),
        adjacency: [
          [false, true, false],
          [false, false, false],
          [false, true, false],
        ],
        activation: tanh(),
        blocks: 'residual',
        hidden: [5],
        contextChannels: 2,
      })),
      context: [2, 2],
    },
  ];
}
