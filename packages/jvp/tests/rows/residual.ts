/** Rows of residual flows. */
import {
  InvertibleResidual,
  LipSwish,
  LipschitzActivation,
  LipschitzBlock,
  lipschitzBlock,
  Planar,
  Radial,
  SpectralDense,
  Sylvester,
} from '@invnet/layers';
import { type Row, random } from '../row.ts';

export function residualRows(ndims: number): Row[] {
  const size = [[], [2], [1, 2]][ndims];
  if (!size) return [];
  // Of each position alone, which one axis shows as well as two.
  const sylvester: Row = {
    name: 'Sylvester',
    shape: [2, 3, ...size],
    make: () => new Sylvester({ channels: 3, units: 2, random: random() }),
  };
  if (ndims === 1) return [sylvester];
  const block = () => {
    const stream = random();
    if (ndims === 2) {
      return lipschitzBlock({
        channels: 2,
        hidden: [3],
        size: [2, 2],
        coefficient: 0.5,
        random: stream,
      });
    }
    // All activations, and norms within bounds and beyond.
    const dense = { coefficient: 0.5, random: stream };
    return new LipschitzBlock({
      layers: [
        new LipSwish(),
        new SpectralDense({ ...dense, inChannels: 3, outChannels: 4, gain: 2 }),
        new LipschitzActivation({ activation: 'elu' }),
        new SpectralDense({ ...dense, inChannels: 4, outChannels: 4, gain: 2 }),
        new LipschitzActivation({ activation: 'tanh' }),
        new SpectralDense({ ...dense, inChannels: 4, outChannels: 3, gain: 0.2 }),
      ],
    });
  };
  const others: Row[] = [
    {
      name: 'InvertibleResidual',
      // One sample of an image, for the log-determinant takes a product for each of its numbers.
      shape: ndims === 0 ? [2, 3] : [1, 2, 2, 2],
      make: () => new InvertibleResidual({ block: block() }),
    },
    {
      name: 'Planar',
      shape: [2, 2, ...size],
      make: () => new Planar({ channels: 2, size, random: random() }),
    },
    {
      name: 'Planar, leaky',
      shape: [3, 2, ...size],
      make: () => new Planar({ channels: 2, size, activation: 'leakyRelu', random: random() }),
    },
    {
      name: 'Radial',
      shape: [2, 3, ...size],
      make: () => new Radial({ channels: 3, size, random: random() }),
    },
  ];
  return ndims === 0 ? [...others, sylvester] : others;
}
