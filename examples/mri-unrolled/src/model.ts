/** The network of this example: an invertible recurrent inference machine with the strided blocks of its authors. */
import { type ConditionerFactory, named, ResidualBlock } from '@invnet/layers';
import { UnrolledLoop } from '@invnet/networks';
import type { LinearMap } from '@invnet/operators';
import type { RandomStream } from '@invnet/tensor';

/** Sizes of the network. */
export interface LoopConfig {
  readonly iterations: number;
  /** Channels that the loop remembers things in, beside those of the image. */
  readonly memory: number;
  /** Channels within the blocks at full resolution; the strided ones have `wider` times as many. */
  readonly hidden: number;
  /** How far the strided blocks reduce the resolution. */
  readonly stride: number;
}

/** Iterations from one strided block to the next. */
const period = 4;
const wider = 3;

/** An unrolled loop over the operator. To load a saved one, pass `named: { operator: () => …, block: () => blocks(…) }`. */
export function buildLoop(
  config: LoopConfig,
  { channels, operator, random }: Physics,
): UnrolledLoop {
  return new UnrolledLoop({
    channels,
    memoryChannels: config.memory,
    iterations: config.iterations,
    operator: named('operator', operator),
    conditioner: named('block', blocks(config, random)),
    // By the first batch: where it starts from the adjoint's image, the first gradient is zero.
    actnorm: false,
    random,
  });
}

/**
 * Makes the conditioners of a loop, one iteration after the other: blocks of i-RIM, that is a convolution, a 3 × 3
 * convolution of its result, and the transposed form of the first. In the first iteration and every fourth from
 * there on, the first reduces the resolution by `stride` and the last restores it, with kernels that reach half a
 * stride beyond their cells, so that no seams show; the others work at full resolution.
 */
export function blocks({ hidden, stride }: LoopConfig, random: RandomStream): ConditionerFactory {
  const full = { hidden, stride: 1, kernel1: 3 };
  const strided = { hidden: wider * hidden, stride, kernel1: 2 * stride };
  let made = 0;
  return ({ inChannels, outChannels }) => {
    const sizes = stride > 1 && made++ % period === 0 ? strided : full;
    return new ResidualBlock({ inChannels, outChannels, ...sizes, kernel2: 3, random });
  };
}

/** What the loop solves for, and what draws its weights. */
interface Physics {
  readonly channels: number;
  readonly operator: LinearMap;
  readonly random: RandomStream;
}
