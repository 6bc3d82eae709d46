/** Logarithms of the gamma function, and their derivatives. Mathematics: docs/math/flows/bases.md */
import { add, affine, log, mul, reciprocal, square, sub, type Tensor } from '@invnet/tensor';

/** How far arguments are moved up, to where the series converges. */
const SHIFT = 8;

/** B₂ⱼ/(2j(2j − 1)), the coefficients of Stirling's series in 1/y, 1/y³, …. */
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];

/** log Γ(x) for x > 0, number by number. */
export function logGamma(x: Tensor): Tensor {
  const y = affine(x, 1, SHIFT);
  const main = sub(mul(affine(y, 1, -0.5), log(y)), affine(y, 1, -0.5 * Math.log(2 * Math.PI)));
  return sub(add(main, series(y, stirling)), shifted(x, log));
}

/** ψ(x) = (log Γ)′(x) for x > 0, number by number. */
export function digamma(x: Tensor): Tensor {
  const y = affine(x, 1, SHIFT);
  // The derivative of c/y²ʲ⁻¹ is −(2j − 1) c/y²ʲ.
  const slopes = stirling.map((c, j) => -(2 * j + 1) * c);
  const terms = mul(series(y, slopes), reciprocal(y));
  const main = sub(log(y), affine(reciprocal(y), 0.5));
  return sub(add(main, terms), shifted(x, reciprocal));
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
