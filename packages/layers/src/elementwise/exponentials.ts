/**
 * Exponentials as scale functions of couplings: plain, and clamped by a hyperbolic tangent, an arctangent or
 * a softsign. Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  abs,
  add,
  affine,
  div,
  exp as expOp,
  log,
  mul,
  ones,
  reciprocal,
  requireAtLeast,
  requireBetween,
  requireOptions,
  sigmoid as sigmoidOp,
  sign,
  softplus as softplusOp,
  square,
  sub,
  type Tensor,
  tanh as tanhOp,
  tidy,
} from '@invnet/tensor';
import { asData } from '../tree/named.ts';
import type { BuiltIn, InvertibleActivation } from './activation.ts';
import { arctangent, tangent } from './arctangent.ts';
import { atanh, logOneMinusTanhSquared } from './hyperbolic.ts';

/**
 * low + eˣ. A scale function whose logarithm is known however close to zero it comes: x itself for
 * low = 0. With low = 1 it is 1/σ(−x), the reciprocal of a logistic scale.
 *
 * A scale may become any number: beyond |x| = 87 none that float32 can divide by.
 *
 * @throws ValueError unless low is finite and at least 0.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: exp() })
 */
export function exp(options: { low?: number } = {}): InvertibleActivation {
  requireOptions('exp', options, ['low']);
  const { low = 0 } = options;
  requireAtLeast('exp', 'low', low, 0);
  /** x − log low, whose logistic function is the part of eˣ in low + eˣ. */
  const above = (x: Tensor) => affine(x, 1, -Math.log(low));
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'exp',
    options: { low },
    range: [low, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => affine(expOp(x), 1, low)),
    grad: (_, dy, x) => tidy(() => mul(dy, expOp(x))),
    invert: (y) => tidy(() => log(affine(y, 1, -low))),
    logSlope: (x) => x.reshape(x.shape),
    logSlopeDerivative: (x) => ones(x.shape, x),
    log:
      low === 0
        ? { apply: (x) => x.reshape(x.shape), grad: (_, dlog) => dlog.reshape(dlog.shape) }
        : {
            apply: (x) => tidy(() => affine(softplusOp(above(x)), 1, Math.log(low))),
            grad: (_, dlog, x) => tidy(() => mul(dlog, sigmoidOp(above(x)))),
          },
  });
}

/**
 * exp(c·tanh(kx)), softly clamped to e⁻ᶜ … eᶜ. f′ = ck·y(1 − (log y/c)²). With the default k = 1/c it
 * is eˣ near zero.
 *
 * @throws ValueError unless clamp (c) and rate (k) are finite and positive.
 */
export function expClamp(options: { clamp?: number; rate?: number } = {}): InvertibleActivation {
  requireOptions('expClamp', options, ['clamp', 'rate']);
  const { clamp = 2, rate = 1 / clamp } = options;
  requireBetween('expClamp', 'clamp', clamp, 0);
  requireBetween('expClamp', 'rate', rate, 0);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'expClamp',
    // Files from before there was a rate have none, so what is left out stays out.
    options: options.rate === undefined ? { clamp } : { clamp, rate },
    range: [Math.exp(-clamp), Math.exp(clamp)],
    apply: (x) => tidy(() => expOp(affine(tanhOp(affine(x, rate)), clamp))),
    grad: (y, dy) =>
      tidy(() => {
        const slope = clamp * rate;
        return mul(mul(dy, y), affine(square(affine(log(y), 1 / clamp)), -slope, slope));
      }),
    invert: (y) => tidy(() => affine(atanh(affine(log(y), 1 / clamp)), 1 / rate)),
    // c·t + log ck(1 − t²) with t = tanh(kx)
    logSlope: (x) =>
      tidy(() => {
        const reduced = affine(x, rate);
        const slope = affine(logOneMinusTanhSquared(reduced), 1, Math.log(clamp * rate));
        return add(affine(tanhOp(reduced), clamp), slope);
      }),
    logSlopeDerivative: (x) =>
      tidy(() => {
        const t = tanhOp(affine(x, rate));
        return sub(affine(square(t), -clamp * rate, clamp * rate), affine(t, 2 * rate));
      }),
  });
}

/**
 * exp(c·(2/π)·arctan(kx)), softly clamped to e⁻ᶜ … eᶜ, which it nears more slowly than `expClamp`.
 * f′ = (2ck/π)·y/(1 + k²x²). With the default k = π/2c it is eˣ near zero.
 *
 * FrEIA's and InvertibleNetworks.jl's exp(α·0.636·arctan x) is that of c = 0.318·π·α and k = 1.
 *
 * @throws ValueError unless clamp (c) and rate (k) are finite and positive.
 */
export function atanClamp(options: { clamp?: number; rate?: number } = {}): InvertibleActivation {
  requireOptions('atanClamp', options, ['clamp', 'rate']);
  const { clamp = 2, rate = Math.PI / (2 * clamp) } = options;
  requireBetween('atanClamp', 'clamp', clamp, 0);
  requireBetween('atanClamp', 'rate', rate, 0);
  const factor = (2 * clamp) / Math.PI;
  /** 1 + k²x² */
  const spread = (x: Tensor) => affine(square(affine(x, rate)), 1, 1);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'atanClamp',
    options: { clamp, rate },
    range: [Math.exp(-clamp), Math.exp(clamp)],
    apply: (x) => tidy(() => expOp(affine(arctangent(affine(x, rate)), factor))),
    grad: (y, dy, x) => tidy(() => div(affine(mul(dy, y), factor * rate), spread(x))),
    invert: (y) => tidy(() => affine(tangent(affine(log(y), 1 / factor)), 1 / rate)),
    logSlope: (x, y) => tidy(() => affine(sub(log(y), log(spread(x))), 1, Math.log(factor * rate))),
    logSlopeDerivative: (x) => tidy(() => div(affine(x, -2 * rate ** 2, factor * rate), spread(x))),
  });
}

/**
 * exp(x/(1 + |x|/c)), softly clamped to e⁻ᶜ … eᶜ, which it nears most slowly of all. f′ = y/(1 + |x|/c)². Its
 * logarithm is exact at any c. zuko's affine transforms have that of c = log 1000.
 *
 * @throws ValueError unless clamp (c) is finite and positive.
 */
export function softsignClamp(options: { clamp?: number } = {}): InvertibleActivation {
  requireOptions('softsignClamp', options, ['clamp']);
  const { clamp = 2 } = options;
  requireBetween('softsignClamp', 'clamp', clamp, 0);
  /** 1 + |x|/c */
  const spread = (x: Tensor) => affine(abs(x), 1 / clamp, 1);
  const apply = (x: Tensor) => tidy(() => div(x, spread(x)));
  const grad = (dlog: Tensor, x: Tensor) => tidy(() => div(dlog, square(spread(x))));
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'softsignClamp',
    options: { clamp },
    range: [Math.exp(-clamp), Math.exp(clamp)],
    apply: (x) => tidy(() => expOp(apply(x))),
    grad: (y, dy, x) => tidy(() => grad(mul(dy, y), x)),
    invert: (y) =>
      tidy(() => {
        const u = log(y);
        return div(u, affine(abs(u), -1 / clamp, 1));
      }),
    logSlope: (x) => tidy(() => sub(apply(x), affine(log(spread(x)), 2))),
    // 1/(1 + |x|/c)² − (2/c)·sign(x)/(1 + |x|/c)
    logSlopeDerivative: (x) =>
      tidy(() => {
        const s = spread(x);
        return sub(reciprocal(square(s)), div(affine(sign(x), 2 / clamp), s));
      }),
    log: { apply, grad: (_, dlog, x) => grad(dlog, x) },
  });
}
