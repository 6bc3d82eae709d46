/** Rows of residual flows. */
import {
  InvertibleResidual,
  LipSwish,
  LipschitzActivation,
  LipschitzBlock,
  lipschitzBlock,
  SpectralDense,
} from '@invnet/layers';
import { type Row, random } from '../row.ts';

export function residualRows(ndims: number): Row[] {
  if (ndims !== 0 && ndims !== 2) return [];
  const block = () => {
    const stream = random();
    if (ndims === 2) {
      return lipschitzBlock({ channels: 2, hidden: [3], size: [2, 2], random: stream });
    }
    // All activations, and norms within bounds and beyond.
    const dense = { coefficient: 0.8, random: stream };
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
  return [
    {
      name: 'InvertibleResidual',
      // One sample of an image, for the log-determinant takes a product for each of its numbers.
      shape: ndims === 0 ? [2, 3] : [1, 2, 2, 2],
      make: () => new InvertibleResidual({ block: block() }),
    },
  ];
}
