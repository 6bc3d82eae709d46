/** Right calls of the linear, permuting and constraining layers of `@invnet/layers`. */
import * as api from '@invnet/layers';
import { RandomStream } from '@invnet/tensor';
import { type Calls, call, make, on } from './call.ts';
import { blockMethods, methodsOf } from './layers.ts';

/** Calls of their exports. */
export function linearCalls(): Calls {
  const random = () => new RandomStream(3);
  const channels = 4;
  const x = random().uniform([2, channels], 0.05, 0.2);
  const circular = { channels, circular: [3, 1], bound: 2 };
  return {
    Box: [
      make(api.Box, [{ low: [0, -1], high: [10, 1] }]),
      ...methodsOf(new api.Box({ low: [0, 0, 0, 0], high: [1, 2, 3, 4] }), x),
    ],
    CircularShift: [
      make(api.CircularShift, [{ ...circular, shift: 0.5, frozen: false }]),
      ...methodsOf(new api.CircularShift({ channels }), x),
    ],
    ConditionalHouseholder: [
      make(api.ConditionalHouseholder, [{ channels, reflections: 1 }]),
      ...methodsOf(new api.ConditionalHouseholder({ channels, reflections: 1 }), x, x).map(
        // A vector of zeros reflects at nothing.
        (right) => ({ ...right, may: ['nan'] as const }),
      ),
    ],
    fixedLinear: [call(api.fixedLinear, [[1, 2, 3, 4], { offset: [0.5, -1] }])],
    Householder: [
      make(api.Householder, [{ channels, reflections: 3, frozen: true, random: random() }]),
      ...methodsOf(new api.Householder({ channels }), x),
    ],
    InvertibleBatchNorm: [
      make(api.InvertibleBatchNorm, [{ channels, momentum: 0.1, epsilon: 1e-5 }]),
      ...methodsOf(new api.InvertibleBatchNorm({ channels }), x),
    ],
    LearnedSlopes: [
      make(api.LearnedSlopes, [{ channels, above: 2, below: 0.5, frozen: true }]),
      ...methodsOf(new api.LearnedSlopes({ channels }), x),
    ],
    Ordered: [
      make(api.Ordered, [{ channels, gap: api.exp() }]),
      ...methodsOf(new api.Ordered({ channels }), x),
    ],
    Orthogonal: [
      make(api.Orthogonal, [
        { channels: 2, map: 'cayley', start: [0.6, 0.8, -0.8, 0.6], frozen: true },
      ]),
      make(api.Orthogonal, [{ channels, map: 'exponential', random: random() }]),
      ...methodsOf(new api.Orthogonal({ channels }), x),
    ],
    PeriodicFeatures: [
      make(api.PeriodicFeatures, [circular]),
      ...blockMethods(new api.PeriodicFeatures(circular), x),
    ],
    Standardization: [
      make(api.Standardization, [{ channels }]),
      on(new api.Standardization({ channels: 1 }), 'set', [{ mean: [2], deviation: [3] }]),
      ...methodsOf(new api.Standardization({ channels }), x),
    ],
    Reshape: [
      make(api.Reshape, [{ from: [channels], to: [2, 2] }]),
      ...methodsOf(new api.Reshape({ from: [channels], to: [2, 2] }), x),
    ],
    ScalingTransformer: [make(api.ScalingTransformer, [{ scaleFunction: api.expClamp() }])],
    StickBreaking: [
      make(api.StickBreaking, [{ channels }]),
      ...methodsOf(new api.StickBreaking({ channels }), x),
    ],
  };
}
