/**
 * Scale functions as other libraries have them, so that their weights carry over as they are. Left out: the
 * clamped exponentials, which are in `exponentials.ts`.
 * Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  add,
  affine,
  div,
  full,
  log,
  maximum,
  minimum,
  mul,
  requireBetween,
  requireOptions,
  sigmoid as sigmoidOp,
  softplus as softplusOp,
  type Tensor,
  tidy,
} from '@invnet/tensor';
import { asData } from '../tree/named.ts';
import type { BuiltIn, InvertibleActivation } from './activation.ts';
import { sigmoid, softplus } from './activations.ts';

/**
 * low + (high − low)·σ(x + shift). With low = 0, high = 1 and the default shift of 2 it is the scale of
 * normflows' and MemCNN's couplings, 0.88 at x = 0.
 *
 * @throws ValueError unless low < high, and all are finite.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: shiftedSigmoid() })
 */
export function shiftedSigmoid(
  options: { low?: number; high?: number; shift?: number } = {},
): InvertibleActivation {
  requireOptions('shiftedSigmoid', options, ['low', 'high', 'shift']);
  const { low = 0, high = 1, shift = 2 } = options;
  requireBetween('shiftedSigmoid', 'shift', shift);
  const f = sigmoid({ low, high });
  const shifted = (x: Tensor) => affine(x, 1, shift);
  const { log } = f;
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'shiftedSigmoid',
    options: { low, high, shift },
    range: f.range,
    ...(log && {
      log: {
        apply: (x) => tidy(() => log.apply(shifted(x))),
        grad: (y, dlog, x) => tidy(() => log.grad(y, dlog, shifted(x))),
      },
    }),
    apply: (x) => tidy(() => f.apply(shifted(x))),
    grad: (y, dy, x) => tidy(() => f.grad(y, dy, shifted(x))),
    invert: (y) => tidy(() => affine(f.invert(y), 1, -shift)),
    logSlope: (x, y) => tidy(() => f.logSlope(shifted(x), y)),
    logSlopeDerivative: (x, y) => tidy(() => f.logSlopeDerivative(shifted(x), y)),
  });
}

/**
 * (factor/rate)·log(1 + e^(rate·x)), which knows its logarithm however close to zero it comes, and so can
 * scale. It grows as factor·x; with factor 0.1 and rate ½ it is the global scale of FrEIA's all-in-one block.
 *
 * @throws ValueError unless factor and rate are finite and positive.
 * @example new GlowCoupling({ channels: 4, hidden: 32, scaleFunction: softplusScale() })
 */
export function softplusScale(
  options: { factor?: number; rate?: number } = {},
): InvertibleActivation {
  requireOptions('softplusScale', options, ['factor', 'rate']);
  const { factor = 1, rate = 1 } = options;
  requireBetween('softplusScale', 'factor', factor, 0);
  requireBetween('softplusScale', 'rate', rate, 0);
  const f = softplus();
  const reduced = (x: Tensor) => affine(x, rate);
  return asData<BuiltIn<InvertibleActivation>>({
    name: 'softplusScale',
    options: { factor, rate },
    range: [0, Number.POSITIVE_INFINITY],
    apply: (x) => tidy(() => affine(softplusOp(reduced(x)), factor / rate)),
    grad: (_, dy, x) => tidy(() => affine(mul(dy, sigmoidOp(reduced(x))), factor)),
    invert: (y) => tidy(() => affine(f.invert(affine(y, rate / factor)), 1 / rate)),
    logSlope: (x, y) => tidy(() => affine(f.logSlope(reduced(x), y), 1, Math.log(factor))),
    logSlopeDerivative: (x, y) => tidy(() => affine(f.logSlopeDerivative(reduced(x), y), rate)),
    log: {
      apply: (x) =>
        tidy(() => {
          const u = reduced(x);
          const near = log(softplusOp(notBelow(u)));
          const far = minimum(affine(u, 1, FAR), full([], 0, x));
          return affine(add(near, far), 1, Math.log(factor / rate));
        }),
      grad: (_, dlog, x) =>
        tidy(() => {
          const u = notBelow(reduced(x));
          return mul(dlog, affine(div(sigmoidOp(u), softplusOp(u)), rate));
        }),
    },
  });
}

/** Below −FAR, log(1 + eᵘ) is eᵘ and its logarithm u, to the digits of float64. */
const FAR = 36;

function notBelow(u: Tensor): Tensor {
  return maximum(u, full([], -FAR, u));
}
