/** The squeeze of PyTorch's libraries, whose channels are ordered as c·4 + k. */
import { type Bijection, Permutation, Sequential, ShuffleSqueeze } from '@invnet/layers';
import { expectLayer, expectSequential, layerOf } from './pieces.ts';
import type { SectionWriter } from './state-dict.ts';

/** [N, C, H, W] → [N, 4C, H/2, W/2], channel c's four next to each other. */
export function squeezeOf(channels: number): Bijection {
  const order = Array.from({ length: 4 * channels }, (_, at) => (at % 4) * channels + (at >> 2));
  return new Sequential({
    squeeze: new ShuffleSqueeze(),
    order: new Permutation({ channels: 4 * channels, order }),
  });
}

/** Channels that such a squeeze makes. */
export function channelsOfSqueeze(layer: Bijection, out: SectionWriter): number {
  const layers = expectSequential(layer, out);
  return expectLayer(layerOf(layers, 'order', out), Permutation, out).channels;
}
