/** Steps of the logarithm of the gamma function, and their derivatives. Mathematics: docs/math/flows/bases.md */
import {
  add,
  affine,
  log,
  mul,
  neg,
  reciprocal,
  softplus,
  square,
  sub,
  type Tensor,
} from '@invnet/tensor';

/** How far arguments are moved up, to where the series converges. */
const SHIFT = 8;

/** B₂ⱼ/(2j(2j − 1)), the coefficients of Stirling's series in 1/y, 1/y³, …. */
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];

/** log Γ(x + ½) − log Γ(x) for x > 0, number by number, without the digits that the difference of large numbers loses. */
export function logGammaStep(x: Tensor): Tensor {
  const y = affine(x, 1, SHIFT);
  const main = add(mul(y, logRatio(y)), affine(log(y), 0.5, -0.5));
  const rest = sub(series(affine(y, 1, 0.5), stirling), series(y, stirling));
  return sub(add(main, rest), shifted(x, logRatio));
}

/** Its derivative, ψ(x + ½) − ψ(x). */
export function digammaStep(x: Tensor): Tensor {
  const y = affine(x, 1, SHIFT);
  // The derivative of c/y²ʲ⁻¹ is −(2j − 1) c/y²ʲ.
  const slopes = stirling.map((c, j) => -(2 * j + 1) * c);
  const terms = (at: Tensor) => mul(series(at, slopes), reciprocal(at));
  const main = add(logRatio(y), affine(gap(y), 0.5));
  return add(add(main, sub(terms(affine(y, 1, 0.5)), terms(y))), shifted(x, gap));
}

/** log(1 + q) for q ≥ 0, also where 1 + q is rounded to 1. */
export function logAboveOne(q: Tensor): Tensor {
  // What is added keeps the logarithm of 0, and its slope, finite.
  return softplus(log(affine(q, 1, 1e-30)));
}

/** log(x + ½) − log x = log(1 + 1/(2x)) */
function logRatio(x: Tensor): Tensor {
  return softplus(neg(log(affine(x, 2))));
}

/** −∂/∂x of it, 1/(x(2x + 1)) */
function gap(x: Tensor): Tensor {
  return reciprocal(mul(x, affine(x, 2, 1)));
}

/** Σ cⱼ/y²ʲ⁻¹ */
function series(y: Tensor, coefficients: readonly number[]): Tensor {
  const inverse = reciprocal(y);
  const squared = square(inverse);
  const last = coefficients.at(-1)!;
  const inner = coefficients
    .slice(0, -1)
    .reduceRight((total, c) => affine(mul(total, squared), 1, c), affine(squared, 0, last));
  return mul(inner, inverse);
}

/** f(x) + f(x + 1) + … over the shift. */
function shifted(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  let total = f(x);
  for (let i = 1; i < SHIFT; i++) total = add(total, f(affine(x, 1, i)));
  return total;
}
