/** The network of this example: an invertible recurrent inference machine with the strided blocks of its authors. */
import { named, ResidualBlock } from '@invnet/layers';
import { UnrolledLoop } from '@invnet/networks';
import type { LinearMap } from '@invnet/operators';
import type { RandomStream } from '@invnet/tensor';

/** Sizes of the network. */
export interface LoopConfig {
  readonly iterations: number;
  /** Channels that the loop remembers things in, beside those of the image. */
  readonly memory: number;
  /** Channels within the blocks. */
  readonly hidden: number;
  /** How far the first layer of a block reduces the resolution; the last one restores it. */
  readonly stride: number;
}

/**
 * An unrolled loop over the operator. A coupling's conditioner reduces the resolution by `stride` with a convolution
 * whose kernels reach half a stride beyond their cells, so that no seams show, mixes neighbours with a 3 × 3
 * convolution, and restores the resolution with the transposed form of the first (Putzky and Welling, 2019).
 *
 * Gradients are not normalized by the first batch: where it starts from the adjoint's image, the first one is zero.
 */
export function buildLoop(
  { iterations, memory, hidden, stride }: LoopConfig,
  { channels, operator, random }: Physics,
): UnrolledLoop {
  const kernel1 = stride === 1 ? 3 : 2 * stride;
  const block = { hidden, stride, kernel1, kernel2: 3, random };
  return new UnrolledLoop({
    channels,
    memoryChannels: memory,
    iterations,
    operator: named('operator', operator),
    conditioner: named(
      'strided block',
      (inChannels: number, outChannels: number) =>
        new ResidualBlock({ inChannels, outChannels, ...block }),
    ),
    actnorm: false,
    random,
  });
}

/** What the loop solves for, and what draws its weights. */
interface Physics {
  readonly channels: number;
  readonly operator: LinearMap;
  readonly random: RandomStream;
}
