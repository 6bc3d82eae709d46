/** Layers of MemCNN 1.5.2. */
import {
  AdditiveTransformer,
  AffineTransformer,
  exp,
  shiftedSigmoid,
  type Transformer,
  TwoSidedCoupling,
} from '@invnet/layers';
import { type Builds, net } from './case.ts';

const coupling = (transformer: Transformer) => () =>
  new TwoSidedCoupling({ channels: 4, transformer, conditioner: net, ndims: 0 });

export const memcnn: Builds = {
  AdditiveCoupling: coupling(new AdditiveTransformer()),
  'AffineCoupling, AffineAdapterSigmoid': coupling(
    new AffineTransformer({ scaleFunction: shiftedSigmoid() }),
  ),
  'AffineCoupling, AffineAdapterNaive': coupling(new AffineTransformer({ scaleFunction: exp() })),
};
