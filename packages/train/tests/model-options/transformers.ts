/** Transformers. */
import fc from 'fast-check';
import {
  bound,
  config,
  exponential,
  type Options,
  several,
  shape,
  size,
  some,
  spline,
  transformer,
} from './draws.ts';

export const transformers: Options = {
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
};
