/** Layers of zuko 1.6. */
import {
  AffineTransformer,
  Autoregressive,
  type AutoregressiveOptions,
  CircularShift,
  ConditionalTransform,
  Conv1x1,
  compose,
  Elementwise,
  ElementwiseTransform,
  type InvertibleActivation,
  Orthogonal,
  Permutation,
  RationalQuadraticSpline,
  softsignClamp,
  type Transformer,
  TransformerCoupling,
  tanh,
} from '@invnet/layers';
import { abs, affine, div, log, mul, sign, square, type Tensor } from '@invnet/tensor';
import { type Builds, net, shiftOf, withTwo } from './case.ts';

const softClamp = Math.log(1000);
const scaled = new AffineTransformer({ scaleFunction: softsignClamp({ clamp: softClamp }) });
const spline = (bound: number) =>
  new RationalQuadraticSpline({
    ...{ bins: 4, bound, softClamp },
    ...{ minWidth: 0, minHeight: 0, minSlope: 0 },
  });
const elementwise = (transformer: Transformer) => () =>
  new ElementwiseTransform({ channels: 3, transformer });
/** Where the mask there is true. */
const split = { first: [1, 3] };
const coupling = (transformer: Transformer) => () =>
  new TransformerCoupling({ channels: 5, transformer, split, ...withTwo });
const autoregressive = (transformer: Transformer, options: Partial<AutoregressiveOptions>) => () =>
  new Autoregressive({ channels: 3, transformer, hidden: [6], activation: tanh(), ...options });
const shifted = (bound: number) => new CircularShift({ channels: 3, bound, frozen: true });
const adjacency = [
  [false, false, true, false],
  [false, false, false, false],
  [false, true, false, false],
  [true, false, false, false],
];

/** x/(1 + |x|/B) */
function softclip(bound: number): InvertibleActivation {
  const rest = (x: Tensor) => affine(abs(x), 1 / bound, 1);
  return {
    name: 'softclip',
    options: { bound },
    range: [-bound, bound],
    apply: (x) => div(x, rest(x)),
    // f′ = (1 − |y|/B)²
    grad: (y, dy) => mul(square(affine(abs(y), -1 / bound, 1)), dy),
    invert: (y) => div(y, affine(abs(y), -1 / bound, 1)),
    logSlope: (x) => affine(log(rest(x)), -2),
    logSlopeDerivative: (x) => affine(div(sign(x), affine(abs(x), 1, bound)), -2),
  };
}

export const zuko: Builds = {
  MonotonicAffineTransform: elementwise(scaled),
  MonotonicRQSTransform: elementwise(spline(5)),
  ElementWiseTransform: () =>
    new ConditionalTransform({
      ...{ channels: 3, transformer: scaled, contextChannels: 2, ndims: 0 },
      conditioner: net,
    }),
  GeneralCouplingTransform: coupling(scaled),
  'GeneralCouplingTransform, RQS': coupling(spline(5)),
  MaskedAutoregressiveTransform: autoregressive(scaled, {
    ...{ contextChannels: 2, order: [1, 2, 0], hidden: [6, 5] },
  }),
  'MaskedAutoregressiveTransform, residual': autoregressive(scaled, {
    ...{ contextChannels: 2, blocks: 'residual', hidden: [6, 6] },
  }),
  'MaskedAutoregressiveTransform, adjacency': autoregressive(scaled, { channels: 4, adjacency }),
  'MaskedAutoregressiveTransform, passes=2': autoregressive(scaled, { channels: 4, passes: 2 }),
  'MaskedAutoregressiveTransform, RQS': autoregressive(spline(5), { contextChannels: 2 }),
  CircularRQSTransform: () => compose(shifted(Math.PI), elementwise(spline(Math.PI))()),
  AdditiveTransform: () => shiftOf(3),
  NICE: () => {
    const by = (first: number[]) =>
      new TransformerCoupling({ channels: 4, transformer: scaled, split: { first }, ...withTwo });
    return compose(by([0, 2]), by([1, 3]));
  },
  RotationTransform: () => new Orthogonal({ channels: 4 }),
  LULinearTransform: (given) =>
    new Conv1x1({
      ...{ channels: 4, parametrization: 'plu' },
      ...{ rows: [0, 1, 2, 3], signs: given('signs') },
    }),
  PermutationTransform: (given) => new Permutation({ channels: 4, order: given('order') }),
  CircularShiftTransform: () => shifted(1),
  SoftclipTransform: () => new Elementwise(softclip(2)),
};
