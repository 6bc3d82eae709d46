/** The model of this example, and the random streams that a run draws from. */
import { Flow } from '@invnet/flows';
import { Logit, sigmoid } from '@invnet/layers';
import { Glow, Sequential } from '@invnet/networks';
import { RandomStream } from '@invnet/tensor';
import type { RunConfig } from './options.ts';

/** Height and width of MNIST's images. */
export const side = 28;

/** Numbers per image. */
export const dims = side * side;

/** Images that it is trained on. */
export const trainingImages = 60_000;

/**
 * Glow over the logits of images in [0, 1), with a standard normal base. The logit is a layer of
 * the flow, so densities are those of (v + u)/256 as it is. It spreads the many values that lie
 * close together in the background; couplings that may scale down tenfold follow them sooner.
 *
 * @throws ValueError @throws ShapeError when 28 cannot be halved once per scale.
 */
export function buildFlow({ hidden, scales, steps, seed }: RunConfig): Flow {
  const random = randomStream(seed, 'weights');
  const scaleFunction = sigmoid({ low: 0.1, high: 1.9 });
  const glow = new Glow({ channels: 1, hidden, scales, steps, scaleFunction, random });
  return new Flow({ network: new Sequential({ logit: new Logit(), glow }) });
}

/** Parts of one seed's stream, too far apart to meet. The batches' order lies behind them all. */
export const firstBlocks = { weights: 0, noise: 2 ** 40, testNoise: 2 ** 41, samples: 2 ** 42 };

/** The stream of one purpose: independent of all others, and the same for the same seed. */
export function randomStream(seed: number, purpose: keyof typeof firstBlocks): RandomStream {
  return new RandomStream(seed, firstBlocks[purpose]);
}
