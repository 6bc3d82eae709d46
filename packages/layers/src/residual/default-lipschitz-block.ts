/** The usual block of a residual flow: dense layers or convolutions, with activations between them. */
import {
  RandomStream,
  requireList,
  requireOneOf,
  requireOptions,
  type Shape,
} from '@invnet/tensor';
import { requireWhole } from '../core/checks.ts';
import { Construction } from '../tree/construction.ts';
import { LipSwish } from './lip-swish.ts';
import { LipschitzActivation, type LipschitzActivationName } from './lipschitz-activation.ts';
import { LipschitzBlock } from './lipschitz-block.ts';
import { SpectralConv } from './spectral-conv.ts';
import { SpectralDense } from './spectral-dense.ts';

/** Options of `lipschitzBlock`. */
export interface LipschitzBlockOptions {
  readonly channels: number;
  /** Channels between the layers, one more of which there are. Default: [64, 64]. */
  readonly hidden?: readonly number[];
  /** Spatial sizes of the data; none for vectors. Default: []. */
  readonly size?: Shape;
  /** Odd kernel size of the convolutions. Default: 3. */
  readonly kernel?: number;
  /** Between the layers. Default: `lipSwish`. */
  readonly activation?: 'lipSwish' | LipschitzActivationName;
  /** What the operator norm of each layer may be, above 0 and below 1. Default: 0.9. */
  readonly coefficient?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = ['channels', 'hidden', 'size', 'kernel', 'activation', 'coefficient', 'random'];

/** Deviation of the last layer's weights relative to the usual one, so that a flow starts near the identity. */
const lastGain = 0.1;

/**
 * Dense layers, or convolutions where a size is given, with activations between them, as a block for
 * `InvertibleResidual`. Its layers can be put together in any other way: `new LipschitzBlock({ layers })`.
 *
 * @throws ValueError for sizes that are not whole and positive, and what the layers refuse.
 * @example lipschitzBlock({ channels: 2, hidden: [32, 32], activation: 'elu' })
 */
export function lipschitzBlock(options: LipschitzBlockOptions): LipschitzBlock {
  requireOptions('lipschitzBlock', options, names);
  using building = new Construction();
  const { channels, hidden = [64, 64], size = [], kernel = 3, coefficient = 0.9 } = options;
  const { activation = 'lipSwish', random = new RandomStream(0) } = options;
  requireList('lipschitzBlock', 'hidden', hidden);
  requireList('lipschitzBlock', 'size', size);
  requireOneOf('lipschitzBlock', 'activation', activation, ['lipSwish', 'elu', 'tanh']);
  const widths = [channels, ...hidden, channels];
  requireWhole('lipschitzBlock', 'channels', channels, 1);
  hidden.forEach((width, i) => {
    requireWhole('lipschitzBlock', `hidden[${i}]`, width, 1);
  });
  const layers = widths.slice(1).flatMap((outChannels, i) => {
    const last = i === hidden.length;
    const common = { inChannels: widths[i]!, outChannels, coefficient, random };
    const shape = { ...common, ...(last && { gain: lastGain }) };
    const layer =
      size.length === 0 ? new SpectralDense(shape) : new SpectralConv({ ...shape, size, kernel });
    if (last) return [layer];
    const between =
      activation === 'lipSwish' ? new LipSwish() : new LipschitzActivation({ activation });
    return [layer, between];
  });
  const block = new LipschitzBlock({ layers });
  building.complete();
  return block;
}
