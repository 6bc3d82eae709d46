/** Right calls of the couplings of two sides, of masks and of blocks of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { type Calls, call, make } from './call.ts';
import { blockMethods, methodsOf } from './layers.ts';

/** Calls of their exports. */
export function couplingBlockCalls(): Calls {
  const random = () => new RandomStream(3);
  const [x, context] = [random().normal([2, 4]), random().normal([2, 3])];
  const dense = () =>
    new api.DenseBlock({ inChannels: 2, hidden: 2, outChannels: 4, random: random() });
  const transformer = new api.VolumePreservingTransformer();
  const sizes = { channels: 4, contextChannels: 3, hidden: 2, ndims: 0, random: random() };
  const twoSided = { ...sizes, split: 0.5, transformer };
  const listed = {
    channels: 4,
    split: { first: [0, 2] },
    conditioner: [dense(), dense()],
  } as const;
  const mask = { shape: [4], stays: [1, 0, 0, 1] };
  const masked = { ...sizes, mask, inverted: true, transformer: new api.AffineTransformer() };
  const drawn = { channels: 4, mask: { shape: [4], seed: 1 }, ndims: 0 };
  const block = {
    ...sizes,
    clamp: 1.5,
    volumePreserving: false,
    globalScale: 'sigmoid',
    globalScaleStart: 2,
    permutation: 'soft',
    reflections: 1,
    permutesBefore: true,
  } as const;
  const parts = { scale: dense(), shift: dense() };
  const joined = new api.JoinedConditioners({ parts });
  const scaled = { inner: dense(), factor: 0.1 };
  const part = random().normal([2, 2]);
  return {
    shiftedSigmoid: [call(api.shiftedSigmoid, [{ low: 0.5, high: 2, shift: 1 }])],
    softplusScale: [call(api.softplusScale, [{ factor: 0.1, rate: 0.5 }])],
    JoinedConditioners: [make(api.JoinedConditioners, [{ parts }]), ...blockMethods(joined, part)],
    ScaledConditioner: [
      make(api.ScaledConditioner, [scaled]),
      ...blockMethods(new api.ScaledConditioner(scaled), part),
    ],
    VolumePreservingTransformer: [
      make(api.VolumePreservingTransformer, [{ scaleFunction: api.expClamp(), over: 'sample' }]),
    ],
    TwoSidedCoupling: [
      make(api.TwoSidedCoupling, [twoSided]),
      make(api.TwoSidedCoupling, [listed]),
      ...methodsOf(new api.TwoSidedCoupling(twoSided), x, context),
    ],
    MaskedCoupling: [
      make(api.MaskedCoupling, [masked]),
      make(api.MaskedCoupling, [drawn]),
      ...methodsOf(new api.MaskedCoupling(masked), x, context),
    ],
    AllInOneBlock: [
      make(api.AllInOneBlock, [block]),
      ...methodsOf(new api.AllInOneBlock(block), x, context),
    ],
  };
}
