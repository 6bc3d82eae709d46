/** The model of this example. */
import { Flow } from '@invnet/flows';
import { Logit, sigmoid } from '@invnet/layers';
import { Glow, Sequential } from '@invnet/networks';
import { randomStream } from 'example-kit';
import type { GlowConfig } from './app.ts';

/**
 * Glow over the logits of images in [0, 1), with a standard normal base. The logit is a layer of
 * the flow, so densities are those of (v + u)/256 as it is. It spreads the many values that lie
 * close together in the background; couplings that may scale down tenfold follow them sooner.
 *
 * @throws ValueError @throws ShapeError when 28 cannot be halved once per scale.
 */
export function buildFlow({ hidden, scales, steps, seed }: GlowConfig): Flow {
  const random = randomStream(seed, 'weights');
  const scaleFunction = sigmoid({ low: 0.1, high: 1.9 });
  const glow = new Glow({ channels: 1, hidden, scales, steps, scaleFunction, random });
  return new Flow({ network: new Sequential({ logit: new Logit(), glow }) });
}
