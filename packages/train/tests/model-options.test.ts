/** Every class of the catalogue, with options drawn at random: configurations, files and copies. */
import { flowCatalogue, standardNormal } from '@invnet/flows';
import {
  activationTypes,
  build,
  copyModule,
  describe as describeModule,
  type Json,
  type Module,
  named,
  namedBuffers,
  namedParameters,
  summary,
} from '@invnet/layers';
import { memory, RandomStream, setBackend } from '@invnet/tensor';
import fc, { type Arbitrary } from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { modelBytes, modelFromBytes } from '../src/index.ts';

beforeEach(() => setBackend('reference'));

const operator = named('doubling', { forward: (u: object) => u, adjoint: (r: object) => r });
const customParts = named('block', { forward: () => {}, backward: () => {} });
const ownParts = named('own', { forward: () => {}, inverse: () => {}, backward: () => {} });
const factories = { doubling: () => operator, block: () => customParts, own: () => ownParts };

const size = fc.integer({ min: 1, max: 4 });
const several = fc.integer({ min: 2, max: 5 });
const axes = fc.integer({ min: 1, max: 3 });
const kernel = fc.constantFrom(1, 3);
const some = <T>(value: Arbitrary<T>) => fc.option(value, { nil: undefined });
const config = ($type: string, options: Record<string, Arbitrary<unknown>> = {}) =>
  fc.record(options).map((o): Json => {
    const given = Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined));
    return { $type, ...given } as Json;
  });

const bound = fc.double({ min: 0.1, max: 2, noNaN: true });
const activation = {
  relu: config('relu'),
  tanh: config('tanh'),
  sigmoid2: config('sigmoid2'),
  leakyRelu: config('leakyRelu', { slope: bound }),
  softplus: config('softplus', { low: bound }),
  sigmoid: fc
    .tuple(bound, bound)
    .map(([low, width]): Json => ({ $type: 'sigmoid', low, high: low + width })),
  exp: config('exp', { low: some(bound) }),
  expClamp: config('expClamp', { clamp: bound, rate: some(bound) }),
  atanClamp: config('atanClamp', { clamp: some(bound), rate: some(bound) }),
  softsignClamp: config('softsignClamp', { clamp: some(bound) }),
  shiftedSigmoid: config('shiftedSigmoid', { shift: some(bound) }),
  softplusScale: config('softplusScale', { factor: some(bound), rate: some(bound) }),
  elu: config('elu', { alpha: some(bound) }),
  gelu: config('gelu'),
  silu: config('silu'),
} satisfies Record<string, Arbitrary<Json>>;
const anyActivation = fc.oneof(activation.relu, activation.elu, activation.gelu, activation.silu);
const normalization = fc.constantFrom('none', 'batch', 'layer', 'actnorm');
const clamped = config('expClamp', { clamp: bound });
const scale = fc.oneof(activation.sigmoid, clamped, activation.softplus);
const exponential = fc.oneof(activation.exp, activation.expClamp, activation.atanClamp);

const blocks = { inChannels: size, hidden: size, outChannels: size };
const conditioner: Arbitrary<Json> = fc.oneof(
  config('DenseBlock', blocks),
  config('ResidualBlock', { ...blocks, ndims: some(axes), kernel1: some(kernel) }),
);
const convolution = {
  inChannels: size,
  outChannels: size,
  ndims: some(axes),
  gain: some(bound),
};
const norm = config('ActNorm', { channels: size });
const field = {
  channels: size,
  contextChannels: some(size),
  frequencies: some(size),
};
const smoothField = config('SmoothField', {
  ...field,
  hidden: some(fc.array(size, { maxLength: 2 })),
  activation: some(fc.constantFrom('silu', 'elu', 'tanh')),
});
const divergence = fc.constantFrom('exact', 'hutchinson');
const prior = config('LearnedPrior', { classes: some(size) });
const entries = { channels: size, size: some(fc.array(size, { maxLength: 2 })) };
const bases = {
  StandardNormal: config('StandardNormal'),
  Normal: config('Normal', {
    ...entries,
    mean: some(bound),
    deviation: some(bound),
    frozen: some(fc.boolean()),
  }),
  MultivariateNormal: config('MultivariateNormal', { ...entries, frozen: some(fc.boolean()) }),
  Uniform: config('Uniform', {
    low: some(fc.constantFrom<Json>(-1, [-2, -1])),
    high: some(fc.constantFrom<Json>(1, [2, 3])),
  }),
  NormalMixture: config('NormalMixture', { ...entries, components: size, spread: some(bound) }),
  StudentT: config('StudentT', { ...entries, degrees: some(bound), scale: some(bound) }),
  ClassConditional: config('ClassConditional', { ...entries, classes: size, spread: some(bound) }),
  ConditionalNormal: config('ConditionalNormal', {
    channels: size,
    contextChannels: size,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
  }),
};
const squeeze = fc.oneof(
  config('ShuffleSqueeze', { pattern: fc.constantFrom('column', 'patch', 'checkerboard') }),
  config('HaarSqueeze'),
  config('WaveletSqueeze', { wavelet: fc.constantFrom('db2', 'sym4', 'coif1') }),
);
const bijection = fc.oneof(
  norm,
  squeeze,
  config('Conv1x1', { channels: size }),
  config('Identity'),
);
const additive = config('AdditiveCoupling', { conditioner });
const two = fc.tuple(size, size);
const spline = config('RationalQuadraticSpline', {
  bins: some(several),
  bound: some(bound),
  tails: some(fc.constantFrom('identity', 'circular')),
  minWidth: some(fc.constantFrom(1e-3, 1e-2)),
  softClamp: some(bound),
});
const transformer = fc.oneof(
  config('AffineTransformer', { scaleFunction: some(scale) }),
  config('AdditiveTransformer'),
  spline,
);
/** The channels of a coupling, and ways to part them. */
const splitChannels = ($type: string, more: Record<string, Arbitrary<unknown>>) =>
  several.chain((channels) =>
    config($type, {
      channels: fc.constant(channels),
      split: some(
        fc.oneof(
          fc.integer({ min: 1, max: channels - 1 }).map((a) => [a, channels - a]),
          fc.constant({ first: [channels - 1] }),
        ),
      ),
      hidden: some(size),
      ndims: some(fc.integer({ min: 0, max: 3 })),
      contextChannels: some(size),
      ...more,
    }),
  );
const lipschitz = fc.integer({ min: 1, max: 3 }).map(
  (n): Json => ({
    $type: 'LipschitzBlock',
    layers: [
      { $type: 'LipSwish' },
      { $type: 'SpectralDense', inChannels: n, outChannels: 2, coefficient: 0.8 },
      { $type: 'LipschitzActivation', activation: 'elu' },
      { $type: 'SpectralDense', inChannels: 2, outChannels: n, coefficient: 0.8 },
    ],
  }),
);
const affine = {
  hidden: some(size),
  ndims: some(fc.integer({ min: 0, max: 3 })),
  scaleFunction: some(scale),
};
const parted = ($type: string, more: Record<string, Arbitrary<unknown>>) =>
  several.chain((channels) =>
    config($type, {
      ...affine,
      channels: fc.constant(channels),
      split: some(fc.integer({ min: 1, max: channels - 1 }).map((a) => [a, channels - a])),
      moves: some(fc.constantFrom('first', 'second')),
      scaleFunction: some(fc.oneof(scale, exponential)),
      ...more,
    }),
  );
const hint = { ...affine, shared: some(fc.constant(false)) };
const scales = {
  scales: some(fc.constantFrom(1, 2)),
  steps: some(size),
  splitScales: some(fc.boolean()),
};
const shape = fc.array(size, { minLength: 1, maxLength: 3 });

/** Options of every type: what its constructor takes, given or left out. */
const options: Record<string, Arbitrary<Json>> = {
  ...activation,
  Elementwise: config('Elementwise', {
    activation: fc.oneof(activation.sigmoid, activation.tanh, activation.leakyRelu),
  }),
  Logit: config('Logit', { lambda: some(fc.double({ min: 0.01, max: 0.4, noNaN: true })) }),
  ActNorm: norm,
  Standardization: config('Standardization', { channels: size }),
  AffineLayer: config('AffineLayer', {
    channels: size,
    size: some(fc.array(size, { maxLength: 3 })),
  }),
  Conv1x1: config('Conv1x1', {
    channels: size,
    parametrization: some(fc.constantFrom('householder', 'plu')),
    frozen: some(fc.boolean()),
  }),
  Permutation: several.chain((channels) =>
    config('Permutation', {
      channels: fc.constant(channels),
      order: fc.shuffledSubarray([...Array(channels).keys()], { minLength: channels }),
    }),
  ),
  ShuffleSqueeze: config('ShuffleSqueeze', {
    pattern: some(fc.constantFrom('column', 'patch')),
    order: some(fc.constantFrom('channel', 'position')),
  }),
  HaarSqueeze: config('HaarSqueeze'),
  WaveletSqueeze: config('WaveletSqueeze', { wavelet: fc.constantFrom('db1', 'db10', 'sym3') }),
  AsConditioner: config('AsConditioner', { inner: bijection }),
  BatchNorm: config('BatchNorm', { channels: size, momentum: some(fc.constantFrom(0.1, 0.5)) }),
  ConditionalResidualBlock: config('ConditionalResidualBlock', {
    ...blocks,
    contextSize: size,
    size: shape,
    contextChannels: some(size),
    activation: some(anyActivation),
    outputActivation: some(fc.constantFrom('none', 'relu', 'galu')),
  }),
  CustomBlock: config('CustomBlock', { parts: fc.constant({ $named: 'block' }) }),
  DenseBlock: config('DenseBlock', { ...blocks, activation: some(anyActivation) }),
  ResNet: config('ResNet', {
    ...blocks,
    blocks: some(size),
    ndims: some(axes),
    kernel: some(kernel),
    activation: some(anyActivation),
    normalization: some(normalization),
  }),
  ActivationLayer: config('ActivationLayer', { activation: anyActivation }),
  AveragePool: config('AveragePool', { factor: some(size) }),
  MaxPool: config('MaxPool', { factor: some(size) }),
  GlobalAveragePool: config('GlobalAveragePool'),
  Upsample: config('Upsample', { factor: some(size) }),
  Chain: config('Chain', { layers: fc.array(conditioner, { minLength: 1, maxLength: 3 }) }),
  Conv: config('Conv', { ...convolution, stride: some(size), kernel: some(kernel) }),
  ConvTranspose: config('ConvTranspose', { ...convolution, stride: some(several) }),
  Dense: config('Dense', { inChannels: size, outChannels: size, gain: some(bound) }),
  DeepSet: config('DeepSet', {
    features: size,
    hidden: some(size),
    outChannels: size,
    masked: some(fc.boolean()),
    pooling: some(fc.constantFrom('mean', 'sum')),
    activation: some(anyActivation),
  }),
  MultiHeadAttention: size.chain((heads) =>
    config('MultiHeadAttention', {
      channels: size.map((each) => each * heads),
      heads: fc.constant(heads),
      contextChannels: size,
      masked: some(fc.boolean()),
    }),
  ),
  InducedAttention: size.chain((heads) =>
    config('InducedAttention', {
      channels: size.map((each) => each * heads),
      contextChannels: size,
      points: size,
      heads: fc.constant(heads),
      masked: some(fc.boolean()),
    }),
  ),
  SetTransformer: size.chain((heads) =>
    config('SetTransformer', {
      features: size,
      hidden: size.map((each) => each * heads),
      outChannels: size,
      heads: fc.constant(heads),
      blocks: some(size),
      seeds: some(size),
      inducing: some(size),
      masked: some(fc.boolean()),
    }),
  ),
  LayerNorm: config('LayerNorm', { channels: size, epsilon: some(bound) }),
  SkipConnection: config('SkipConnection', {
    inner: conditioner,
    join: fc.constantFrom('add', 'concat'),
  }),
  UNet: config('UNet', {
    inChannels: size,
    outChannels: size,
    hidden: some(size),
    levels: some(fc.constantFrom(1, 2)),
    ndims: some(axes),
    kernel: some(kernel),
    activation: some(anyActivation),
    normalization: some(normalization),
    down: some(fc.constantFrom('max', 'average', 'conv')),
    up: some(fc.constantFrom('transposed', 'nearest')),
  }),
  ResidualBlock: config('ResidualBlock', {
    ...blocks,
    ndims: some(axes),
    kernel1: some(kernel),
    kernel2: some(kernel),
    stride: some(size),
    activation: some(anyActivation),
    outputActivation: some(fc.constantFrom('none', 'relu', 'galu')),
  }),
  SymmetricBlock: config('SymmetricBlock', {
    channels: size,
    hidden: some(size),
    ndims: some(axes),
    kernel: some(kernel),
  }),
  WithContext: config('WithContext', { inner: conditioner }),
  ChannelHalves: config('ChannelHalves', { inner: additive, channels: two }),
  FirstHalf: config('FirstHalf', { inner: bijection }),
  Flattened: config('Flattened', { inner: additive, inputShapes: fc.tuple(shape, shape) }),
  Identity: config('Identity'),
  JoinedChannels: config('JoinedChannels', { inner: bijection, channels: two }),
  Parallel: config('Parallel', { maps: fc.record({ data: bijection, condition: bijection }) }),
  Reversed: config('Reversed', { inner: bijection }),
  Sequential: fc.array(bijection, { minLength: 1, maxLength: 4 }).chain((layers) =>
    fc.boolean().map((byName): Json => {
      const names = byName ? { names: layers.map((_, i) => `layer${i}`) } : {};
      return { $type: 'Sequential', ...names, layers };
    }),
  ),
  Swapped: config('Swapped', { inner: additive }),
  Unflattened: config('Unflattened', { inner: bijection, shapes: fc.tuple(shape, shape) }),
  AdditiveCoupling: additive,
  BasicCoupling: config('BasicCoupling', {
    ...affine,
    channels: two,
    conditioner: some(conditioner),
  }),
  ConditionalGlowCoupling: parted('ConditionalGlowCoupling', { contextChannels: size }),
  ConditionalHintCoupling: config('ConditionalHintCoupling', {
    ...hint,
    channels: several,
    conditionChannels: some(several),
    permute: some(fc.boolean()),
  }),
  GlowCoupling: parted('GlowCoupling', { conditioner: some(conditioner) }),
  HintCoupling: fc.oneof(
    config('HintCoupling', {
      ...hint,
      channels: several,
      permute: some(fc.constantFrom('none', 'lower', 'both', 'full')),
      depth: some(fc.constant(1)),
    }),
    config('HintCoupling', {
      ...affine,
      channels: fc.constantFrom(4, 8),
      shared: fc.constant(true),
    }),
  ),
  HyperbolicLayer: config('HyperbolicLayer', {
    channels: fc.constant(8),
    hidden: some(size),
    ndims: some(axes),
    resolution: some(fc.constantFrom('keep', 'halve', 'double')),
    stepSize: some(bound),
  }),
  IrimCoupling: config('IrimCoupling', { channels: several, conditioner: some(conditioner) }),
  Leapfrog: config('Leapfrog', {
    force: config('SymmetricBlock', { channels: size }),
    stepSize: bound,
  }),
  RecursiveCoupling: config('RecursiveCoupling', {
    first: bijection,
    second: bijection,
    coupling: additive,
  }),
  Autoregressive: config('Autoregressive', {
    channels: several,
    hidden: some(fc.array(size, { minLength: 1, maxLength: 2 })),
    transformer: some(config('AffineTransformer', { scaleFunction: some(exponential) })),
    order: some(fc.constantFrom('reversed', 'random')),
  }),
  MadeBlock: config('MadeBlock', {
    channels: fc.constant(3),
    size,
    hidden: some(fc.constant([2, 2])),
    blocks: some(fc.constantFrom('plain', 'residual', 'preactivated')),
    activation: some(activation.tanh),
    contextChannels: some(size),
    context: some(fc.constantFrom('joined', 'added')),
    adjacency: some(
      fc.constant([
        [false, true, false],
        [false, false, false],
        [true, true, false],
      ]),
    ),
  }),
  Box: config('Box', { low: fc.constant([-1, 0]), high: fc.constant([1, 2]) }),
  CircularShift: config('CircularShift', {
    channels: fc.constant(3),
    circular: some(fc.constant([0, 2])),
    bound: some(bound),
    shift: some(bound),
    frozen: some(fc.boolean()),
  }),
  LearnedSlopes: config('LearnedSlopes', {
    channels: size,
    above: some(bound),
    below: some(bound),
    frozen: some(fc.boolean()),
  }),
  Ordered: config('Ordered', {
    channels: several,
    gap: some(fc.oneof(config('exp'), config('softplus'))),
  }),
  StickBreaking: config('StickBreaking', { channels: size }),
  Householder: config('Householder', {
    channels: size,
    reflections: some(size),
    frozen: some(fc.boolean()),
  }),
  ConditionalHouseholder: config('ConditionalHouseholder', {
    channels: size,
    reflections: some(size),
  }),
  Orthogonal: config('Orthogonal', {
    channels: fc.constant(2),
    map: some(fc.constantFrom('exponential', 'cayley')),
    start: some(fc.constant([0, 1, 1, 0])),
    frozen: some(fc.boolean()),
  }),
  InvertibleBatchNorm: config('InvertibleBatchNorm', {
    channels: size,
    momentum: some(fc.constantFrom(0.1, 0.5)),
  }),
  Reshape: config('Reshape', { from: fc.constant([2, 6]), to: some(fc.constant([3, 4])) }),
  AxisHalves: config('AxisHalves', { inner: additive, axis: axes }),
  CustomBijection: config('CustomBijection', { parts: fc.constant({ $named: 'own' }) }),
  AdditiveTransformer: config('AdditiveTransformer'),
  ScalingTransformer: config('ScalingTransformer'),
  AffineTransformer: config('AffineTransformer', { scaleFunction: some(exponential) }),
  VolumePreservingTransformer: config('VolumePreservingTransformer', {
    scaleFunction: some(exponential),
    over: some(fc.constantFrom('channels', 'sample')),
  }),
  LinearSpline: config('LinearSpline', {
    bins: some(several),
    bound: some(bound),
    tails: some(fc.constantFrom('identity', 'linear')),
  }),
  QuadraticSpline: config('QuadraticSpline', {
    bins: some(several),
    bound: some(bound),
    minSlope: some(fc.constantFrom(1e-3, 1e-2)),
  }),
  RationalQuadraticSpline: spline,
  ElementwiseTransform: config('ElementwiseTransform', {
    channels: size,
    transformer,
    size: some(shape),
  }),
  ConditionalTransform: config('ConditionalTransform', {
    channels: size,
    transformer,
    contextChannels: size,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
  }),
  TransformerCoupling: splitChannels('TransformerCoupling', {
    transformer,
    moves: some(fc.constantFrom('first', 'second')),
  }),
  TwoSidedCoupling: splitChannels('TwoSidedCoupling', { transformer: some(transformer) }),
  MaskedCoupling: config('MaskedCoupling', {
    channels: fc.constant(2),
    mask: some(fc.constantFrom<Json>('checkerboard', { shape: [2], seed: 3 })),
    inverted: some(fc.boolean()),
    transformer: some(transformer),
    hidden: some(size),
    contextChannels: some(size),
  }),
  AllInOneBlock: config('AllInOneBlock', {
    channels: several,
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
    contextChannels: some(size),
    clamp: some(bound),
    volumePreserving: some(fc.boolean()),
    globalScale: some(fc.constantFrom('softplus', 'sigmoid', 'exp')),
    permutation: some(fc.constantFrom('hard', 'soft')),
    reflections: some(fc.constantFrom(0, 2)),
    permutesBefore: some(fc.boolean()),
  }),
  PeriodicFeatures: config('PeriodicFeatures', {
    channels: fc.constant(3),
    circular: some(fc.constant([0, 2])),
    bound: some(bound),
  }),
  JoinedConditioners: config('JoinedConditioners', {
    parts: fc.record({ scale: conditioner, shift: conditioner }),
  }),
  ScaledConditioner: config('ScaledConditioner', { inner: conditioner, factor: bound }),
  LipSwish: config('LipSwish'),
  LipschitzActivation: config('LipschitzActivation', {
    activation: fc.constantFrom('elu', 'tanh'),
  }),
  LipschitzBlock: lipschitz,
  SpectralDense: config('SpectralDense', { inChannels: size, outChannels: size }),
  SpectralConv: config('SpectralConv', {
    inChannels: size,
    outChannels: size,
    size: shape,
    kernel: some(kernel),
  }),
  InvertibleResidual: config('InvertibleResidual', {
    block: lipschitz,
    maxIterations: some(fc.constantFrom(50, 100)),
  }),
  ConditionerField: config('ConditionerField', field),
  SmoothField: smoothField,
  ContinuousFlow: config('ContinuousFlow', {
    field: fc.oneof(config('ConditionerField', field), smoothField),
    solver: some(fc.constant('dormandPrince')),
    steps: some(fc.constant(30)),
    relativeTolerance: some(fc.constant(1e-3)),
    divergence: some(divergence),
  }),
  MidpointFlow: config('MidpointFlow', {
    field: smoothField,
    steps: some(fc.constantFrom(1, 3)),
    maxIterations: some(fc.constantFrom(50, 100)),
    divergence: some(divergence),
  }),
  Planar: config('Planar', {
    channels: size,
    size: some(shape),
    activation: some(fc.constantFrom('tanh', 'leakyRelu')),
  }),
  Radial: config('Radial', { channels: size, size: some(shape) }),
  TriangularSylvester: config('TriangularSylvester', {
    channels: several,
    units: some(fc.constant(2)),
  }),
  Sylvester: config('Sylvester', { channels: several, units: some(fc.constant(2)) }),
  InvertibleUNet: config('InvertibleUNet', {
    channels: several,
    levels: some(fc.constantFrom(1, 2)),
    steps: some(fc.constantFrom(1, 2)),
    hidden: some(size),
    ndims: some(axes),
    transformer: some(transformer),
  }),
  LearnedSqueeze: config('LearnedSqueeze', { channels: size, ndims: some(axes) }),
  RevNet: config('RevNet', {
    channels: size,
    classes: several,
    width: some(fc.constantFrom(2, 4)),
    blocks: some(fc.array(size, { minLength: 1, maxLength: 2 })),
    ndims: some(axes),
  }),
  LearnedPrior: prior,
  Glow: config('Glow', {
    ...affine,
    ...scales,
    channels: several,
    squeeze: some(squeeze),
    frozenConv1x1: some(fc.boolean()),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  ConditionalGlow: config('ConditionalGlow', {
    ...affine,
    ...scales,
    channels: several,
    contextChannels: size,
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  MultiScale: fc.constant({
    $type: 'MultiScale',
    channels: [4],
    squeeze: { $type: 'HaarSqueeze' },
    step: { $named: 'step' },
    scales: 2,
    steps: 1,
  }),
  MultiScaleHint: config('MultiScaleHint', {
    ...hint,
    ...scales,
    channels: several,
    permute: some(fc.constantFrom('none', 'full')),
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
    prior: some(prior),
  }),
  ConditionalHint: config('ConditionalHint', {
    ...hint,
    channels: several,
    conditionChannels: some(several),
    steps: some(size),
    actnorm: some(fc.boolean()),
  }),
  MultiScaleConditionalHint: config('MultiScaleConditionalHint', {
    ...hint,
    ...scales,
    channels: several,
    squeeze: some(squeeze),
    actnorm: some(fc.boolean()),
  }),
  HyperbolicNetwork: config('HyperbolicNetwork', {
    channels: fc.constant(8),
    architecture: fc.array(
      fc.constantFrom<Json>({}, { hidden: 2 }, { resolution: 'halve' }, { resolution: 'double' }),
      { minLength: 1, maxLength: 1 },
    ),
    ndims: some(axes),
  }),
  GraphNetwork: fc.tuple(two, some(fc.constant(1))).map(
    ([[a, b], axis]): Json => ({
      $type: 'GraphNetwork',
      nodes: [
        { kind: 'input', name: 'x', shape: [a + b, 2] },
        { kind: 'split', name: 'part', inputs: ['x'], sizes: [a, b], ...(axis && { axis }) },
        {
          kind: 'module',
          name: 'a',
          inputs: ['part.0'],
          module: { $type: 'ActNorm', channels: a },
        },
        { kind: 'concat', name: 'join', inputs: ['a', 'part.1'] },
        { kind: 'output', name: 'y', inputs: ['join'] },
      ],
    }),
  ),
  SummarizedNetwork: config('SummarizedNetwork', {
    network: config('ConditionalGlowCoupling', {
      ...affine,
      channels: several,
      contextChannels: size,
    }),
    summary: conditioner,
  }),
  MisfitGradient: config('MisfitGradient', {
    channels: fc.constant(2),
    outChannels: several,
    operator: fc.constant({ $named: 'doubling' }),
    link: some(activation.sigmoid),
    actnorm: some(fc.boolean()),
  }),
  UnrolledLoop: config('UnrolledLoop', {
    channels: some(fc.constant(1)),
    memoryChannels: several,
    iterations: size,
    operator: fc.constant({ $named: 'doubling' }),
    link: some(activation.tanh),
    coupling: some(fc.constantFrom('additive', 'hint')),
    hidden: some(size),
    ndims: some(fc.integer({ min: 0, max: 3 })),
    actnorm: some(fc.boolean()),
  }),
  ...bases,
  MixtureFlow: config('MixtureFlow', {
    components: fc.array(
      fc.oneof(bases.Normal, config('Flow', { network: norm, base: some(bases.StudentT) })),
      { minLength: 1, maxLength: 3 },
    ),
    frozen: some(fc.boolean()),
  }),
  Flow: config('Flow', { network: norm, base: some(fc.oneof(...Object.values(bases))) }),
  VariationalDequantization: config('VariationalDequantization', {
    flow: config('Flow', { network: norm }),
    noise: config('Flow', { network: norm }),
    levels: some(fc.integer({ min: 2, max: 2 ** 16 })),
  }),
};

/** Options that were given, with a module of their type around them where they are none's own. */
function moduleOf(type: string, json: Json): Json {
  const isActivation = activationTypes.some((t) => t.type === type);
  if (!isActivation) return json;
  const $type = ['relu', 'elu', 'gelu', 'silu'].includes(type) ? 'ActivationLayer' : 'Elementwise';
  return { $type, activation: json };
}

const step = named('step', (channels: readonly number[]) =>
  build({ $type: 'ActNorm', channels: channels[0]! }, { modules: flowCatalogue }),
);
const named_ = { ...factories, step: () => step };

it('has options for every type of the catalogue', () => {
  expect(Object.keys(options).sort()).toEqual(flowCatalogue.map((t) => t.type).sort());
  expect(new Set(flowCatalogue.map((t) => t.type)).size).toBe(flowCatalogue.length);
  expect(standardNormal().type).toBe('StandardNormal');
});

describe.each(Object.keys(options))('%s', (type) => {
  it('is plain JSON from which it is built again, saved, loaded and copied', async () => {
    const seed = fc.nat(1000);
    await fc.assert(
      fc.asyncProperty(options[type]!, seed, async (drawn, n) => {
        const before = memory().tensors;
        const built = (json: Json, s: number) =>
          build(json, { modules: flowCatalogue, named: named_, random: new RandomStream(s) });
        const first = fill(moduleOf(type, drawn), built);
        const json: Json = JSON.parse(JSON.stringify(describeModule(first)));
        expect(json).toEqual(describeModule(first));
        // Built again, twice, with other weights: the same structure.
        const [second, third] = [built(json, n), built(json, n + 1)];
        expect(summary(second)).toBe(summary(first));
        expect(summary(third)).toBe(summary(first));
        expect(describeModule(second)).toEqual(json);
        // A file, and a copy, have the same numbers.
        const scattered = built(json, n + 2);
        for (const p of namedParameters(scattered).values()) p.changed();
        const loaded = modelFromBytes(await modelBytes(scattered, { note: 'x' }), {
          modules: flowCatalogue,
          named: named_,
        });
        const copy = copyModule(scattered);
        const numbers = await numbersOf(scattered);
        expect(await numbersOf(loaded)).toEqual(numbers);
        expect(await numbersOf(copy)).toEqual(numbers);
        expect(describeModule(loaded)).toEqual(json);
        for (const m of [first, second, third, scattered, loaded, copy]) m.dispose();
        expect(memory().tensors).toBe(before);
      }),
      { numRuns: 8, seed: 4 },
    );
  });
});

/** Built from options of which some are left out: its configuration has the defaults. */
function fill(json: Json, built: (json: Json, seed: number) => Module): Module {
  const { $type, ...given } = json as { readonly $type: string };
  const type = flowCatalogue.find((t) => t.type === $type)!;
  const decoded = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, decode(value as Json, built)]),
  );
  const made = type as unknown as { build?(options: object): Module } & (new (o: object) => Module);
  return type.build && Object.hasOwn(type, 'build') ? made.build!(decoded) : new made(decoded);
}

function decode(value: Json, built: (json: Json, seed: number) => Module): unknown {
  if (Array.isArray(value)) return value.map((v: Json) => decode(v, built));
  if (typeof value !== 'object' || value === null) return value;
  const record = value as { readonly [key: string]: Json };
  if (typeof record.$named === 'string') return named_[record.$named as keyof typeof named_]();
  if (typeof record.$type !== 'string') {
    return Object.fromEntries(Object.entries(record).map(([k, v]) => [k, decode(v, built)]));
  }
  const isActivation = activationTypes.some((t) => t.type === record.$type);
  if (!isActivation) return fill(value, built);
  const { $type, ...given } = record;
  return activationTypes.find((t) => t.type === $type)!.build!(given as never);
}

async function numbersOf(module: Module): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const [path, p] of namedParameters(module)) found[path] = [...(await p.data.data())];
  for (const [path, b] of namedBuffers(module)) found[path] = [...(await b.read())];
  return found;
}
