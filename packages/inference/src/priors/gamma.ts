/** The gamma distribution: its numbers, and the logarithm of the Γ function that it is normalized by. */
import type { RandomStream } from '@invnet/tensor';

/** Coefficients of Lanczos' approximation with g = 7 (Press et al., "Numerical recipes", 3rd edition, 2007). */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
];

/** log Γ(x) for x > 0, to 14 digits. */
export function logGamma(x: number): number {
  // Γ(x) = Γ(x + 1)/x keeps the digits close to zero.
  if (x < 1) return logGamma(x + 1) - Math.log(x);
  const z = x - 1;
  const series = lanczos.reduce((sum, c, i) => (i === 0 ? c : sum + c / (z + i)), 0);
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(series);
}

/**
 * A number of density ∝ x^(shape − 1)·e⁻ˣ, by rejection (Marsaglia and Tsang, "A simple method for generating gamma
 * variables", 2000); above zero.
 */
export function gammaDraw(shape: number, random: RandomStream): number {
  // x·u^(1/a) of a x from shape a + 1 has shape a.
  if (shape < 1) {
    const u = 1 - random.uniformArray(1)[0]!;
    return Math.max(gammaDraw(shape + 1, random) * u ** (1 / shape), Number.MIN_VALUE);
  }
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const z = random.normalArray(1)[0]!;
    const v = (1 + c * z) ** 3;
    if (v <= 0) continue;
    const u = 1 - random.uniformArray(1)[0]!;
    if (Math.log(u) < 0.5 * z * z + d * (1 - v + Math.log(v))) return d * v;
  }
}
