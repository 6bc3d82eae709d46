/**
 * Couplings by rational-quadratic splines that map [−1, 1]ᴰ onto itself, whose latent is uniform there. Slopes at the bounds are
 * any, so that a posterior may end at the bounds of its prior with any density; by a map onto all numbers such an edge
 * is in the tails, where a flow that ends in a normal latent learns it badly.
 */
import {
  type Bijection,
  ConditionalTransform,
  Construction,
  Permutation,
  RationalQuadraticSpline,
  Sequential,
  TransformerCoupling,
} from '@invnet/layers';
import type { RandomStream } from '@invnet/tensor';
import { residualConditioner } from './residual-conditioner.ts';

/** Sizes of `boxSplines`. */
export interface BoxSplineSizes {
  readonly size: number;
  readonly contextChannels: number;
  readonly transforms: number;
  readonly hidden: number;
  readonly bins: number;
  readonly random: RandomStream;
}

/** What `size` numbers in [−1, 1] become, given a context; behind every two couplings they change places. */
export function boxSplines(sizes: BoxSplineSizes): Bijection {
  const { size: channels, contextChannels, transforms, hidden, bins, random } = sizes;
  using building = new Construction();
  const transformer = new RationalQuadraticSpline({ bins, bound: 1, tails: 'linear' });
  const conditioner = residualConditioner(hidden, random);
  const common = { channels, contextChannels, transformer, conditioner, ndims: 0 };
  const layers: Bijection[] = [];
  if (channels === 1) layers.push(new ConditionalTransform(common));
  else {
    for (let i = 0; i < transforms; i++) {
      if (i > 0 && i % 2 === 0) layers.push(new Permutation({ channels, order: 'random', random }));
      layers.push(new TransformerCoupling({ ...common, moves: i % 2 === 0 ? 'second' : 'first' }));
    }
  }
  const network = new Sequential(layers);
  building.complete();
  return network;
}
