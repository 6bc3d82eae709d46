/** Layers of normflows 1.7.3. */
import {
  ActivationLayer,
  ActNorm,
  AdditiveTransformer,
  AffineTransformer,
  Autoregressive,
  type AutoregressiveOptions,
  CircularShift,
  ConditionalTransform,
  type Conditioner,
  Conv,
  chain,
  compose,
  Dense,
  ElementwiseTransform,
  exp,
  InvertibleResidual,
  JoinedConditioners,
  LipSwish,
  LipschitzBlock,
  MaskedCoupling,
  PeriodicFeatures,
  Permutation,
  Planar,
  Radial,
  RationalQuadraticSpline,
  relu,
  residual,
  reverse,
  ShuffleSqueeze,
  SpectralDense,
  shiftedSigmoid,
  type Transformer,
  TransformerCoupling,
  tanh,
} from '@invnet/layers';
import { type Build, type Builds, factored, net, shiftOf, triangles } from './case.ts';

const exponential = new AffineTransformer({ scaleFunction: exp() });
const coupling = (transformer: Transformer) => () =>
  new TransformerCoupling({
    ...{ channels: 5, transformer, split: { first: [0, 1, 2] } },
    ...{ conditioner: net, ndims: 0 },
  });
const permuted: Build = (given) => new Permutation({ channels: 5, order: given('order') });

/** By the factors of its matrix: the inverse comes first, as in their direction of samples. */
const unmixed: Build = (given) => reverse(factored(given, 4));

const autoregressive = (transformer: Transformer) => () => {
  const options: AutoregressiveOptions = {
    channels: 3,
    hidden: [6],
    blocks: 'preactivated',
    activation: tanh(),
  };
  return new Autoregressive({ ...options, transformer });
};

/** A `ResidualNet` of one block, whose first layer is given. */
function residualNet(first: Conditioner, outChannels: number): Conditioner {
  const activation = () => new ActivationLayer({ activation: tanh() });
  const dense = () => new Dense({ inChannels: 6, outChannels: 6 });
  const block = residual(chain(activation(), dense(), activation(), dense()));
  return chain(first, block, new Dense({ inChannels: 6, outChannels }));
}

/** The channels 1 and 3 move by the others, then those by a spline of their own. */
function coupledSpline(transformer: RationalQuadraticSpline, first: Conditioner) {
  const conditioner = residualNet(first, 2 * transformer.size);
  return compose(
    new TransformerCoupling({ channels: 4, transformer, split: { first: [0, 2] }, conditioner }),
    new ElementwiseTransform({ channels: 4, transformer }),
  );
}

const spline = (tails: 'identity' | 'circular') =>
  new RationalQuadraticSpline({ bins: 4, bound: 2, tails });
const first = (inChannels: number) => new Dense({ inChannels, outChannels: 6 });

export const normflows: Builds = {
  'AffineCouplingBlock, exp': coupling(exponential),
  'AffineCouplingBlock, sigmoid': coupling(
    new AffineTransformer({ scaleFunction: exp({ low: 1 }) }),
  ),
  'AffineCouplingBlock, sigmoid_inv': coupling(
    new AffineTransformer({ scaleFunction: shiftedSigmoid() }),
  ),
  'AffineCouplingBlock, additive': coupling(new AdditiveTransformer()),
  MaskedAffineFlow: () => {
    const shape = { inChannels: 5, outChannels: 5, ndims: 0 };
    return new MaskedCoupling({
      ...{ channels: 5, mask: { shape: [5], stays: [1, 0, 1, 0, 1] }, transformer: exponential },
      conditioner: new JoinedConditioners({ parts: { scale: net(shape), shift: net(shape) } }),
    });
  },
  AffineConstFlow: () =>
    new ElementwiseTransform({ channels: 3, transformer: exponential, size: [2, 2] }),
  CCAffineConst: () =>
    new ConditionalTransform({
      ...{ channels: 3, transformer: exponential, contextChannels: 2, ndims: 0 },
      conditioner: new Dense({ inChannels: 2, outChannels: 6 }),
    }),
  ActNorm: () => new ActNorm({ channels: 3 }),
  'Permute, shuffle': permuted,
  'Permute, swap': permuted,
  'Invertible1x1Conv, LU': unmixed,
  Invertible1x1Conv: unmixed,
  'InvertibleAffine, LU': unmixed,
  InvertibleAffine: unmixed,
  LULinearPermute: (given) =>
    reverse(
      compose(new Permutation({ channels: 4, order: given('order') }), triangles(4), shiftOf(4)),
    ),
  'Planar, tanh': () => new Planar({ channels: 3 }),
  'Planar, leaky_relu': () => new Planar({ channels: 3, activation: 'leakyRelu' }),
  Radial: () => new Radial({ channels: 3 }),
  PeriodicShift: () => new CircularShift({ channels: 3, circular: [0, 2], bound: 1, frozen: true }),
  PeriodicWrap: () => new CircularShift({ channels: 3, circular: [0, 2], bound: 1, frozen: true }),
  Squeeze: () => reverse(new ShuffleSqueeze({ order: 'channel' })),
  MaskedAffineAutoregressive: autoregressive(
    new AffineTransformer({ scaleFunction: shiftedSigmoid({ low: 1e-3, high: 1.001 }) }),
  ),
  CoupledRationalQuadraticSpline: () => coupledSpline(spline('identity'), first(2)),
  CircularCoupledRationalQuadraticSpline: () =>
    coupledSpline(
      spline('circular'),
      chain(new PeriodicFeatures({ channels: 2, bound: 2 }), first(4)),
    ),
  AutoregressiveRationalQuadraticSpline: autoregressive(spline('identity')),
  GlowBlock: (given) => {
    const conv = (inChannels: number, outChannels: number, kernel: number) =>
      new Conv({ inChannels, outChannels, kernel, ndims: 2 });
    const activation = () => new ActivationLayer({ activation: relu() });
    const layers = [conv(2, 3, 3), activation(), conv(3, 3, 1), activation(), conv(3, 4, 3)];
    const transformer = new AffineTransformer({ scaleFunction: exp({ low: 1 }) });
    return compose(
      new TransformerCoupling({ channels: 4, transformer, conditioner: chain(...layers) }),
      unmixed(given),
      new ActNorm({ channels: 4 }),
    );
  },
  'Residual, brute_force': () => {
    const dense = (inChannels: number, outChannels: number) =>
      new SpectralDense({ inChannels, outChannels, coefficient: 0.97 });
    const layers = [new LipSwish(), dense(2, 5), new LipSwish(), dense(5, 2)];
    return new InvertibleResidual({ block: new LipschitzBlock({ layers }) });
  },
};
