/** Layers of FrEIA 0.2. */
import {
  type Activation,
  ActNorm,
  AdditiveTransformer,
  AffineTransformer,
  AllInOneBlock,
  type AllInOneBlockOptions,
  atanClamp,
  type Bijection,
  ConditionalTransform,
  Conv1x1,
  compose,
  conv1x1Of,
  Elementwise,
  ElementwiseTransform,
  expClamp,
  fixedLinear,
  HaarSqueeze,
  Householder,
  InvertibleResidual,
  JoinedConditioners,
  LearnedSlopes,
  lipschitzBlock,
  Orthogonal,
  Permutation,
  Reshape,
  reverse,
  ScalingTransformer,
  ShuffleSqueeze,
  sigmoid,
  type Transformer,
  TransformerCoupling,
  TwoSidedCoupling,
  type TwoSidedCouplingOptions,
  VolumePreservingTransformer,
  withContext,
} from '@invnet/layers';
import { type Build, type Builds, net, withTwo } from './case.ts';

const atan = atanClamp({ clamp: 0.318 * Math.PI * 1.5, rate: 1 });
const affine = (scaleFunction: Activation) => new AffineTransformer({ scaleFunction });
const twoSided =
  (transformer: Transformer, options: () => Partial<TwoSidedCouplingOptions> = () => ({})) =>
  () =>
    new TwoSidedCoupling({ channels: 5, transformer, ...withTwo, ...options() });

/** Networks for the scale and the shift of a part of so many channels, which see the other part and the context. */
function joined(moved: number) {
  const shape = { inChannels: 5 - moved, outChannels: moved, ndims: 0, contextChannels: 2 };
  const make = withContext(net);
  return new JoinedConditioners({ parts: { scale: make(shape), shift: make(shape) } });
}

const allInOne =
  (
    mixing: (given: (name: string) => number[]) => Bijection,
    options: Partial<AllInOneBlockOptions>,
  ): Build =>
  (given) =>
    new AllInOneBlock({ channels: 5, ...withTwo, permutation: mixing(given), ...options });
const soft = (given: (name: string) => number[]) =>
  new Conv1x1({
    ...{ channels: 5, parametrization: 'plu', frozen: true },
    ...{ rows: given('rows'), signs: given('signs') },
  });
const permuted = (given: (name: string) => number[]) =>
  new Permutation({ channels: 5, order: given('order') });
const channelSqueeze = () => new ShuffleSqueeze({ order: 'channel' });

export const freia: Builds = {
  NICECouplingBlock: twoSided(new AdditiveTransformer()),
  RNVPCouplingBlock: twoSided(affine(atan), () => ({
    conditioner: [joined(2), joined(3)],
  })),
  'GLOWCouplingBlock, ATAN': twoSided(affine(atan)),
  'GLOWCouplingBlock, TANH': twoSided(affine(expClamp({ clamp: 1.5, rate: 1 }))),
  'GLOWCouplingBlock, SIGMOID': twoSided(affine(expClamp({ clamp: 1.5, rate: 0.5 }))),
  'GLOWCouplingBlock, split_len': twoSided(affine(atan), () => ({ split: 0.3 })),
  GINCouplingBlock: twoSided(new VolumePreservingTransformer({ scaleFunction: atan })),
  AffineCouplingOneSided: () =>
    new TransformerCoupling({ channels: 5, transformer: affine(atan), ...withTwo }),
  ConditionalAffineTransform: () =>
    new ConditionalTransform({
      ...{ channels: 5, transformer: affine(atan), contextChannels: 2, ndims: 0 },
      conditioner: net,
    }),
  'AllInOneBlock, soft, SOFTPLUS': allInOne(soft, {}),
  'AllInOneBlock, soft, SIGMOID': allInOne(soft, { globalScale: 'sigmoid' }),
  'AllInOneBlock, soft, EXP, reversed': allInOne(soft, {
    globalScale: 'exp',
    permutesBefore: true,
  }),
  'AllInOneBlock, soft, GIN': allInOne(soft, { volumePreserving: true }),
  'AllInOneBlock, hard': allInOne(permuted, {}),
  'AllInOneBlock, Householder': allInOne(permuted, { reflections: 3 }),
  PermuteRandom: permuted,
  FixedLinearTransform: (given) => fixedLinear(given('matrix'), { offset: [0, 0, 0, 0, 0] }),
  Fixed1x1Conv: (given) => conv1x1Of(given('matrix'), { frozen: true }),
  InvertibleSigmoid: () => new Elementwise(sigmoid()),
  ActNorm: () => new ActNorm({ channels: 3 }),
  HouseholderPerm: () => new Householder({ channels: 5, reflections: 3 }),
  InvAutoAct: () => new LearnedSlopes({ channels: 5 }),
  InvAutoActFixed: () => new LearnedSlopes({ channels: 5, frozen: true }),
  InvAutoActTwoSided: () => new LearnedSlopes({ channels: 3, below: 0.5 }),
  LearnedElementwiseScaling: () =>
    new ElementwiseTransform({ channels: 3, size: [2], transformer: new ScalingTransformer() }),
  IResNetLayer: () => {
    const block = lipschitzBlock({
      channels: 5,
      hidden: [6, 6],
      activation: 'elu',
      coefficient: 0.8,
    });
    return new InvertibleResidual({ block });
  },
  'IRevNetDownsampling, legacy_backend': () => new ShuffleSqueeze({ order: 'position' }),
  'HaarDownsampling, by channels': () =>
    compose(
      new HaarSqueeze(),
      new Permutation({ channels: 12, order: [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11] }),
    ),
  IRevNetDownsampling: channelSqueeze,
  IRevNetUpsampling: () => reverse(channelSqueeze()),
  HaarDownsampling: () => new HaarSqueeze(),
  HaarUpsampling: () => reverse(new HaarSqueeze()),
  Flatten: () => new Reshape({ from: [3, 4, 2], to: [24] }),
  Reshape: () => new Reshape({ from: [3, 4, 2], to: [6, 4] }),
  OrthogonalTransform: (given) =>
    compose(
      new Orthogonal({ channels: 5, start: given('start') }),
      new ElementwiseTransform({
        channels: 5,
        transformer: affine(atanClamp({ clamp: 0.318 * Math.PI * 2, rate: 0.5 })),
      }),
    ),
};
