/**
 * Element-wise functions: activations of conditioners, links, and scale functions of couplings. Those that
 * are exponentials are in `exponentials.ts`.
 * Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  add,
  affine,
  exp,
  leakyRelu as leakyReluOp,
  log,
  mul,
  ones,
  reluGrad,
  relu as reluOp,
  requireBetween,
  requireOptions,
  sigmoidGrad,
  sigmoid as sigmoidOp,
  softplus as softplusOp,
  sub,
  type Tensor,
  tanhGrad,
  tanh as tanhOp,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { asData } from '../tree/named.ts';
import type { Activation, BuiltIn, InvertibleActivation, ScaleLogarithm } from './activation.ts';
import { atanh, logOneMinusTanhSquared } from './hyperbolic.ts';
import { logLogisticSlope } from './logistic-slope.ts';

/** max(x, 0) */
export function relu(): Activation {
  return asData<BuiltIn<Activation>>({
    name: 'relu',
    options: {},
    range: [0, Number.POSITIVE_INFINITY],
    apply: reluOp,
    grad: reluGrad,
  });
}

/** x for x > 0, slope·x otherwise. @throws ValueError unless slope is finite and positive. */
export function leakyRelu(options: { slope?: number } = {}): InvertibleActivation {
  requireOptions('leakyRelu', options, ['slope']);
  const { slope = 0.01 } = options;
  requireBetween('leakyRelu', 'slope', slope, 0);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'leakyRelu',
    options: { slope },
    range: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    apply: (x) => leakyReluOp(x, slope),
    // f′ is 1 where y > 0, else the slope: a mixture of dy and what ReLU lets through.
    grad: (y, dy) =>
      tidy(() => {
        const through = affine(reluGrad(y, dy), 1 - slope);
        return add(through, affine(dy, slope));
      }),
    invert: (y) => leakyReluOp(y, 1 / slope),
    // log slope where x is not positive: half of (1 − sign x), but 1 at zero.
    logSlope: (x) =>
      tidy(() => affine(reluGrad(x, onesLike(x)), -Math.log(slope), Math.log(slope))),
    logSlopeDerivative: zerosLike,
  });
}

/** Hyperbolic tangent. */
export function tanh(): InvertibleActivation {
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'tanh',
    options: {},
    range: [-1, 1],
    apply: tanhOp,
    grad: tanhGrad,
    invert: atanh,
    logSlope: logOneMinusTanhSquared,
    logSlopeDerivative: (_, y) => affine(y, -2),
  });
}

/**
 * low + log(1 + eˣ); f′ = 1 − e^(low − y). With low > 0 a scale function without an upper bound.
 *
 * @throws ValueError unless low is finite.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: softplus({ low: 0.1 }) })
 */
export function softplus(options: { low?: number } = {}): InvertibleActivation {
  requireOptions('softplus', options, ['low']);
  const { low = 0 } = options;
  requireBetween('softplus', 'low', low);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'softplus',
    options: { low },
    range: [low, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => affine(softplusOp(x), 1, low)),
    // With v = y − low, 1 − e⁻ᵛ = (1 + e⁻ᵛ)·tanh(v/2), which keeps its digits where v is small.
    grad: (y, dy) =>
      tidy(() => {
        const v = affine(y, 1, -low);
        return mul(mul(dy, tanhOp(affine(v, 0.5))), affine(exp(affine(v, -1)), 1, 1));
      }),
    // v + log(1 − e⁻ᵛ) = log(1 + eᵛ) + log tanh(v/2)
    invert: (y) =>
      tidy(() => {
        const v = affine(y, 1, -low);
        return add(softplusOp(v), log(tanhOp(affine(v, 0.5))));
      }),
    logSlope: (x) => tidy(() => affine(softplusOp(affine(x, -1)), -1)),
    logSlopeDerivative: (x) => tidy(() => sigmoidOp(affine(x, -1))),
  });
}

/**
 * low + (high − low)·σ(x): with low > 0 a scale function that stays away from zero. With low = 0 it is
 * one that may come as close as numbers do, and its coupling is not the one pass that others are.
 *
 * @throws ValueError unless low < high, both finite.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: sigmoid({ low: 0.5, high: 1 }) })
 */
export function sigmoid(options: { low?: number; high?: number } = {}): InvertibleActivation {
  requireOptions('sigmoid', options, ['low', 'high']);
  const { low = 0, high = 1 } = options;
  requireBetween('sigmoid', 'low', low);
  requireBetween('sigmoid', 'high', high);
  if (!(low < high))
    throw new ValueError(`sigmoid: low ${low}, high ${high}; expected low < high.`);
  const width = high - low;
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'sigmoid',
    options: { low, high },
    range: [low, high],
    ...(low === 0 ? { log: logOfSigmoid(high) } : { logistic: { low, high } }),
    apply: (x) => tidy(() => affine(sigmoidOp(x), width, low)),
    grad: (y, dy) => tidy(() => affine(sigmoidGrad(affine(y, 1 / width, -low / width), dy), width)),
    invert: (y) => tidy(() => sub(log(affine(y, 1, -low)), log(affine(y, -1, high)))),
    logSlope: (x) => tidy(() => affine(logLogisticSlope(x), 1, Math.log(width))),
    logSlopeDerivative: (_, y) => affine(y, -2 / width, 1 + (2 * low) / width),
  });
}

/** 2σ(x) − 1 = tanh(x/2) */
export function sigmoid2(): InvertibleActivation {
  return asData({ ...sigmoid({ low: -1, high: 1 }), name: 'sigmoid2', options: {} });
}

/** log(high·σ(x)) = log high − log(1 + e⁻ˣ) */
function logOfSigmoid(high: number): ScaleLogarithm {
  return {
    apply: (x) => tidy(() => affine(softplusOp(affine(x, -1)), -1, Math.log(high))),
    grad: (_, dlog, x) => tidy(() => mul(dlog, sigmoidOp(affine(x, -1)))),
  };
}

function onesLike(x: Tensor): Tensor {
  return ones(x.shape, x);
}
