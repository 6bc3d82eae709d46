/** Conditioners. */
import fc from 'fast-check';
import {
  activation,
  axes,
  bijection,
  blocks,
  bound,
  conditioner,
  config,
  kernel,
  type Options,
  several,
  shape,
  size,
  some,
} from './draws.ts';

const anyActivation = fc.oneof(activation.relu, activation.elu, activation.gelu, activation.silu);
const normalization = fc.constantFrom('none', 'batch', 'layer', 'actnorm');
const convolution = {
  inChannels: size,
  outChannels: size,
  ndims: some(axes),
  gain: some(bound),
};

export const conditioners: Options = {
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
  PeriodicFeatures: config('PeriodicFeatures', {
    channels: fc.constant(3),
    circular: some(fc.constant([0, 2])),
    bound: some(bound),
  }),
  JoinedConditioners: config('JoinedConditioners', {
    parts: fc.record({ scale: conditioner, shift: conditioner }),
  }),
  ScaledConditioner: config('ScaledConditioner', { inner: conditioner, factor: bound }),
};
