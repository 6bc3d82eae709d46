/**
 * Element-wise functions: activations of conditioners, and scale functions of couplings. Each gives
 * its derivative in terms of its output, so that nothing else needs to be kept.
 * Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  add,
  affine,
  exp,
  formatValue,
  type LogisticScale,
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
  square,
  sub,
  type Tensor,
  tanhGrad,
  tanh as tanhOp,
  tidy,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import type { ModuleType } from '../tree/module.ts';
import { asData } from '../tree/named.ts';
import { logLogisticSlope } from './logistic-slope.ts';

/** y = f(x), element by element. */
export interface Activation {
  /** For messages; of those here, their type in files. */
  readonly name: string;
  /** What makes it again; left out for functions of one's own, which need `named` to be saved. */
  readonly options?: Readonly<Record<string, number>>;
  /** Bounds of f. A function with a positive lower bound can scale a coupling. */
  readonly range: readonly [number, number];
  /** f(x) */
  apply(x: Tensor): Tensor;
  /** dy·f′(x), in terms of y = f(x). */
  grad(y: Tensor, dy: Tensor): Tensor;
  /** Set where f(x) = low + (high − low)·σ(x), for which backends have couplings in one pass. */
  readonly logistic?: LogisticScale;
}

/** A monotone activation onto its range, which `Elementwise` makes a layer. */
export interface InvertibleActivation extends Activation {
  /** f⁻¹(y) */
  invert(y: Tensor): Tensor;
  /** log f′(x), of x and y = f(x). */
  logSlope(x: Tensor, y: Tensor): Tensor;
  /** The derivative of log f′ at x. */
  logSlopeDerivative(x: Tensor, y: Tensor): Tensor;
}

/** One of those here, which files know by name and options; a copy of it with other functions is none. */
type BuiltIn<F extends Activation> = F & { readonly options: Readonly<Record<string, number>> };

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
 * low + (high − low)·σ(x): with low > 0 a scale function that stays away from zero.
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
    logistic: { low, high },
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

/**
 * exp(c·tanh(x/c)): eˣ near zero, softly clamped to e⁻ᶜ … eᶜ. f′ = y(1 − (log y/c)²).
 * (FrEIA and InvertibleNetworks.jl clamp with an arctangent instead.)
 *
 * @throws ValueError unless clamp is finite and positive.
 */
export function expClamp(options: { clamp?: number } = {}): InvertibleActivation {
  requireOptions('expClamp', options, ['clamp']);
  const { clamp = 2 } = options;
  requireBetween('expClamp', 'clamp', clamp, 0);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'expClamp',
    options: { clamp },
    range: [Math.exp(-clamp), Math.exp(clamp)],
    apply: (x) => tidy(() => exp(affine(tanhOp(affine(x, 1 / clamp)), clamp))),
    grad: (y, dy) => tidy(() => mul(mul(dy, y), affine(square(affine(log(y), 1 / clamp)), -1, 1))),
    invert: (y) => tidy(() => affine(atanh(affine(log(y), 1 / clamp)), clamp)),
    // c·t + log(1 − t²) with t = tanh(x/c)
    logSlope: (x) =>
      tidy(() => {
        const reduced = affine(x, 1 / clamp);
        return add(affine(tanhOp(reduced), clamp), logOneMinusTanhSquared(reduced));
      }),
    logSlopeDerivative: (x) =>
      tidy(() => {
        const t = tanhOp(affine(x, 1 / clamp));
        return sub(affine(square(t), -1, 1), affine(t, 2 / clamp));
      }),
  });
}

/** All functions here, by their names in files. */
export const activationTypes: readonly ModuleType[] = [
  { type: 'relu', build: relu },
  { type: 'leakyRelu', build: leakyRelu },
  { type: 'tanh', build: tanh },
  { type: 'softplus', build: softplus },
  { type: 'sigmoid', build: sigmoid },
  { type: 'sigmoid2', build: sigmoid2 },
  { type: 'expClamp', build: expClamp },
];

/** ½ log((1 + y)/(1 − y)) */
function atanh(y: Tensor): Tensor {
  return tidy(() => affine(sub(log(affine(y, 1, 1)), log(affine(y, -1, 1))), 0.5));
}

/** log(1 − tanh² x) = log 4σ′(2x), exact where tanh is 1. */
function logOneMinusTanhSquared(x: Tensor): Tensor {
  return tidy(() => affine(logLogisticSlope(affine(x, 2)), 1, Math.log(4)));
}

function onesLike(x: Tensor): Tensor {
  return ones(x.shape, x);
}

/** The function itself. @throws ValueError unless it is an activation. */
export function requireActivation(op: string, name: string, f: Activation): Activation {
  const functions: readonly unknown[] = [f?.apply, f?.grad];
  const range: readonly unknown[] = Array.isArray(f?.range) ? f.range : [];
  const bounds = range.length === 2 && range.every((bound) => typeof bound === 'number');
  if (functions.every((g) => typeof g === 'function') && bounds) return f;
  throw new ValueError(
    `${op}: ${name} is ${formatValue(f)}; expected an activation, such as sigmoid().`,
  );
}
