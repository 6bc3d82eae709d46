/** Layers of nflows 0.14. */
import {
  ActNorm,
  AdditiveTransformer,
  AffineTransformer,
  Autoregressive,
  type AutoregressiveOptions,
  ConditionalTransform,
  compose,
  Dense,
  Elementwise,
  ElementwiseTransform,
  exp,
  Householder,
  InvertibleBatchNorm,
  LinearSpline,
  leakyRelu,
  Permutation,
  QuadraticSpline,
  RationalQuadraticSpline,
  reverse,
  ScalingTransformer,
  ShuffleSqueeze,
  shiftedSigmoid,
  sigmoid,
  softplus,
  type Transformer,
  TransformerCoupling,
  tanh,
} from '@invnet/layers';
import { type Builds, factored, shiftOf, triangles, withTwo } from './case.ts';

/** The channels that condition, where the mask of `of_nflows.py` is not positive. */
const split = { first: [0, 3] };
const coupling = (transformer: Transformer) => () =>
  new TransformerCoupling({ channels: 5, transformer, split, ...withTwo });
const autoregressive =
  (transformer: Transformer, options: Partial<AutoregressiveOptions> = {}) =>
  () =>
    new Autoregressive({
      ...{ channels: 3, transformer, hidden: [6], blocks: 'preactivated', activation: tanh() },
      ...options,
    });
const context = { contextChannels: 2, context: 'added' } as const;
const elementwise = (transformer: Transformer) => () =>
  new ElementwiseTransform({ channels: 3, transformer });

const tails = { bins: 4, bound: 2 } as const;
const none = { bins: 4, bound: [0, 1], tails: 'linear' } as const;
const rational = new RationalQuadraticSpline(tails);
const quadratic = new QuadraticSpline(none);
const linear = new LinearSpline({ ...none, minHeight: 0 });
const scale = (scaleFunction: ReturnType<typeof exp>) => new AffineTransformer({ scaleFunction });

export const nflows: Builds = {
  ActNorm: () => new ActNorm({ channels: 3 }),
  BatchNorm: () => new InvertibleBatchNorm({ channels: 3 }),
  AffineCouplingTransform: coupling(scale(shiftedSigmoid({ low: 1e-3, high: 1.001 }))),
  AdditiveCouplingTransform: coupling(new AdditiveTransformer()),
  PiecewiseRationalQuadraticCouplingTransform: coupling(rational),
  'PiecewiseRationalQuadraticCouplingTransform, no tails': coupling(
    new RationalQuadraticSpline(none),
  ),
  PiecewiseQuadraticCouplingTransform: coupling(quadratic),
  PiecewiseLinearCouplingTransform: coupling(linear),
  MaskedAffineAutoregressiveTransform: autoregressive(scale(softplus({ low: 1e-3 })), context),
  'MaskedAffineAutoregressiveTransform, no residual blocks': autoregressive(
    scale(softplus({ low: 1e-3 })),
    { blocks: 'plain', hidden: [6, 6] },
  ),
  MaskedPiecewiseRationalQuadraticAutoregressiveTransform: autoregressive(rational, context),
  MaskedPiecewiseQuadraticAutoregressiveTransform: autoregressive(quadratic),
  MaskedPiecewiseLinearAutoregressiveTransform: autoregressive(linear),
  PiecewiseRationalQuadraticCDF: elementwise(rational),
  PiecewiseQuadraticCDF: elementwise(quadratic),
  PiecewiseLinearCDF: elementwise(linear),
  LULinear: () => compose(triangles(4), shiftOf(4)),
  NaiveLinear: (given) => compose(factored(given, 4), shiftOf(4)),
  QRLinear: () =>
    compose(triangles(4), new Householder({ channels: 4, reflections: 3 }), shiftOf(4)),
  SVDLinear: () =>
    compose(
      new Householder({ channels: 4, reflections: 2 }),
      new ElementwiseTransform({ channels: 4, transformer: scale(exp()) }),
      new Householder({ channels: 4, reflections: 2 }),
      shiftOf(4),
    ),
  HouseholderSequence: () => new Householder({ channels: 4, reflections: 3 }),
  OneByOneConvolution: (given) =>
    compose(new Permutation({ channels: 4, order: given('order') }), triangles(4), shiftOf(4)),
  RandomPermutation: (given) => new Permutation({ channels: 5, order: given('order') }),
  ReversePermutation: () => new Permutation({ channels: 5, order: 'reversed' }),
  PointwiseAffineTransform: elementwise(scale(exp())),
  GatedLinearUnit: () =>
    new ConditionalTransform({
      ...{ channels: 1, contextChannels: 1, ndims: 0 },
      transformer: new ScalingTransformer({ scaleFunction: sigmoid({ low: 0, high: 1 }) }),
      conditioner: new Dense({ inChannels: 1, outChannels: 1 }),
    }),
  SqueezeTransform: () => new ShuffleSqueeze({ order: 'channel' }),
  CompositeCDFTransform: () => {
    const squash = () => new Elementwise(sigmoid());
    return compose(squash(), elementwise(quadratic)(), reverse(squash()));
  },
  Sigmoid: () => new Elementwise(sigmoid()),
  Logit: () => reverse(new Elementwise(sigmoid())),
  Tanh: () => new Elementwise(tanh()),
  LeakyReLU: () => new Elementwise(leakyRelu({ slope: 0.25 })),
};
