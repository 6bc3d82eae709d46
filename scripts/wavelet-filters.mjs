/**
 * Computes the scaling filters of orthogonal wavelets and writes
 * packages/layers/src/squeezes/wavelet-filters.ts. Daubechies filters and symlets by spectral
 * factorization (Daubechies, "Ten lectures on wavelets", 1992, chapters 6 and 8), coiflets from
 * their moment equations. Each is then solved for by Newton's method in arithmetic of 60 decimal
 * digits: the equations are so ill-conditioned that float64 keeps only 8 digits of the longest
 * coiflet.
 *
 *   node scripts/wavelet-filters.mjs && pnpm run format
 */
import { writeFile } from 'node:fs/promises';

/** Numbers of 60 decimals are integers, in units of 1/one. */
const one = 10n ** 60n;
const tiny = 10n ** 40n;
const squareRootOfTwo = wholeRoot(2n * one * one);

const filters = {};
for (let n = 1; n <= 10; n++) filters[`db${n}`] = solve(daubechies(n), n);
for (let n = 2; n <= 10; n++) filters[`sym${n}`] = solve(symlet(n), n);
// Where the search starts: the published values, to six digits.
const coiflets = [
  [-0.072733, 0.337898, 0.852572, 0.384865, -0.072733, -0.015656],
  [
    0.016387, -0.041465, -0.067373, 0.38611, 0.812724, 0.417005, -0.076489, -0.059434, 0.02368,
    0.005611, -0.001823, -0.000721,
  ],
  [
    -0.003794, 0.007783, 0.023453, -0.065772, -0.061123, 0.405177, 0.793777, 0.428483, -0.0718,
    -0.082302, 0.034555, 0.015881, -0.009008, -0.002575, 0.001118, 0.000466, -7.1e-5, -3.5e-5,
  ],
  [
    0.000892, -0.001629, -0.007346, 0.016069, 0.026682, -0.081267, -0.056077, 0.415308, 0.782239,
    0.434386, -0.066627, -0.09622, 0.039334, 0.025082, -0.015212, -0.005658, 0.003751, 0.001267,
    -0.000589, -0.00026, 6.2e-5, 3.1e-5, -3e-6, -2e-6,
  ],
  [
    -0.000212, 0.000359, 0.002178, -0.004159, -0.010132, 0.023408, 0.02817, -0.091922, -0.052047,
    0.421571, 0.774294, 0.437982, -0.062038, -0.105563, 0.041288, 0.032675, -0.019758, -0.00916,
    0.006762, 0.002432, -0.001662, -0.000638, 0.000302, 0.00014, -4.1e-5, -2.1e-5, 4e-6, 2e-6, 0, 0,
  ],
];
coiflets.forEach((start, i) => {
  filters[`coif${i + 1}`] = solve(start, 2 * (i + 1), { center: 2 * (i + 1) });
});

const written = (v) => (v === Math.SQRT1_2 ? 'Math.SQRT1_2' : String(v));
const body = Object.entries(filters).map(
  ([name, h]) => `  ${name}: [${h.map(written).join(', ')}],`,
);
const text = `/** Scaling filters of orthogonal wavelets. Written by scripts/wavelet-filters.mjs; do not edit. */

/** Low-pass filters h with Σh = √2 and Σ hₖhₖ₊₂ₘ = δₘ, by name. */
export const waveletFilters = {
${body.join('\n')}
} as const satisfies Readonly<Record<string, readonly number[]>>;

/** Daubechies' wavelets of 1 to 10 vanishing moments, symlets of 2 to 10, coiflets of 1 to 5. */
export type WaveletName = keyof typeof waveletFilters;
`;
await writeFile(
  new URL('../packages/layers/src/squeezes/wavelet-filters.ts', import.meta.url),
  text,
);

/** The filter whose zeros all lie inside the unit circle. */
function daubechies(n) {
  return fromZeros(n, zeroPairs(n).flat());
}

/**
 * The choice of zeros, inside or outside the unit circle, whose phase is the nearest to linear. Its
 * mirror image is as good; which of the two is published follows no rule.
 */
function symlet(n) {
  const pairs = zeroPairs(n);
  let best;
  for (let choice = 0; choice < 2 ** pairs.length; choice++) {
    const zeros = pairs.flatMap((pair, i) => (choice & (1 << i) ? pair.map(reciprocal) : pair));
    const bend = phaseBend(zeros);
    if (!best || bend < best.bend) best = { zeros, bend };
  }
  const h = fromZeros(n, best.zeros);
  const fallsOff = Math.abs(h[0]) > Math.abs(h[h.length - 1]);
  return fallsOff === [2, 3, 7].includes(n) ? h : h.reverse();
}

/** Zeros inside the unit circle of the factor of Daubechies' polynomial: conjugates together. */
function zeroPairs(n) {
  const coefficients = Array.from({ length: n }, (_, k) => binomial(n - 1 + k, k));
  const roots = polynomialRoots(coefficients);
  const pairs = [];
  for (const y of roots) {
    if (y.im < -1e-9) continue;
    // y = (2 − z − 1/z)/4
    const b = { re: 1 - 2 * y.re, im: -2 * y.im };
    const root = squareRoot({ re: b.re * b.re - b.im * b.im - 1, im: 2 * b.re * b.im });
    let z = { re: b.re + root.re, im: b.im + root.im };
    if (Math.hypot(z.re, z.im) > 1) z = { re: b.re - root.re, im: b.im - root.im };
    pairs.push(y.im > 1e-9 ? [z, { re: z.re, im: -z.im }] : [z]);
  }
  return pairs;
}

/** (1 + z)ⁿ Π(z − zₖ), scaled to the sum √2. */
function fromZeros(n, zeros) {
  let p = [{ re: 1, im: 0 }];
  const times = (c) => {
    const next = Array.from({ length: p.length + 1 }, () => ({ re: 0, im: 0 }));
    p.forEach((v, i) => {
      next[i + 1].re += v.re;
      next[i + 1].im += v.im;
      next[i].re -= v.re * c.re - v.im * c.im;
      next[i].im -= v.re * c.im + v.im * c.re;
    });
    p = next;
  };
  for (let i = 0; i < n; i++) times({ re: -1, im: 0 });
  for (const z of zeros) times(z);
  const h = p.map((v) => v.re).reverse();
  const total = h.reduce((a, b) => a + b, 0);
  return h.map((v) => (v * Math.SQRT2) / total);
}

/**
 * How far the phase of Π(1 − zₖe^(−iw)) is from the line through its values at 0 and π, between
 * which it turns by a multiple of π (Daubechies 1992, section 8.1.1).
 */
function phaseBend(zeros) {
  const count = 1024;
  const phases = Array.from({ length: count + 1 }, (_, i) => {
    const w = (Math.PI * i) / count;
    // 1 − z e^(−iw) stays right of zero for |z| < 1, so that its argument does not jump. For
    // |z| > 1 it is −z e^(−iw) times 1 − e^(iw)/z, and the latter stays there.
    return zeros.reduce((total, z) => {
      const inside = Math.hypot(z.re, z.im) < 1;
      const [re, im] = inside ? turned(z, -w) : turned(reciprocal(z), w);
      return total + Math.atan2(-im, 1 - re) - (inside ? 0 : w);
    }, 0);
  });
  const at = (i) => phases[i] - phases[0];
  return Math.max(...phases.map((_, i) => Math.abs(at(i) - (at(count) * i) / count)));
}

/** z e^(iw) */
function turned(z, w) {
  const [c, s] = [Math.cos(w), Math.sin(w)];
  return [z.re * c - z.im * s, z.re * s + z.im * c];
}

/**
 * The filter near `start` that is orthonormal with sum √2, has `moments` vanishing moments of the
 * wavelet, and, for a coiflet, as many of the scaling function about a center but the 0th.
 * Gauss–Newton, which converges quadratically since all equations can be met.
 */
function solve(start, moments, { center } = {}) {
  const length = start.length;
  let h = start.map(toFixed);
  for (let iteration = 0; iteration < 20; iteration++) {
    const rows = [];
    const residuals = [];
    for (let m = 0; m < length / 2; m++) {
      const row = new Array(length).fill(0n);
      let r = m === 0 ? -one : 0n;
      for (let k = 0; k + 2 * m < length; k++) {
        r += times(h[k], h[k + 2 * m]);
        row[k] += h[k + 2 * m];
        row[k + 2 * m] += h[k];
      }
      rows.push(row);
      residuals.push(r);
    }
    const linear = (weight, target) => {
      const row = h.map((_, k) => weight(k));
      rows.push(row);
      residuals.push(dot(row, h) - target);
    };
    linear(() => one, squareRootOfTwo);
    // Powers of positions as fractions of the length, in halves to reach the middle.
    const powers = (twiceFrom, p) => (k) =>
      (BigInt(2 * k - twiceFrom) ** BigInt(p) * one) / BigInt(2 * length) ** BigInt(p);
    for (let p = 0; p < moments; p++) {
      const power = powers(length - 1, p);
      linear((k) => (k % 2 ? -power(k) : power(k)), 0n);
    }
    for (let p = 1; center !== undefined && p < moments; p++) linear(powers(2 * center, p), 0n);
    const step = leastSquares(rows, residuals);
    h = h.map((v, k) => v - step[k]);
    if (step.every((v) => v < tiny && v > -tiny)) return h.map((v) => Number(`${v}e-60`));
  }
  throw new Error(`The equations of a filter of length ${length} were not solved.`);
}

/** min ‖A s − r‖ by the normal equations, for whose condition 60 digits are plenty. */
function leastSquares(rows, r) {
  const n = rows[0].length;
  const columns = Array.from({ length: n }, (_, j) => rows.map((row) => row[j]));
  const a = columns.map((c) => [...columns.map((d) => dot(c, d)), dot(c, r)]);
  for (let k = 0; k < n; k++) {
    for (let i = k + 1; i < n; i++) {
      const factor = (a[i][k] * one) / a[k][k];
      for (let j = k; j <= n; j++) a[i][j] -= times(factor, a[k][j]);
    }
  }
  const s = new Array(n);
  for (let i = n - 1; i >= 0; i--) {
    let rest = a[i][n];
    for (let j = i + 1; j < n; j++) rest -= times(a[i][j], s[j]);
    s[i] = (rest * one) / a[i][i];
  }
  return s;
}

/** All roots of Σ cₖ yᵏ by the method of Durand and Kerner. */
function polynomialRoots(c) {
  const degree = c.length - 1;
  const lead = c[degree];
  let roots = Array.from({ length: degree }, (_, i) => {
    const angle = (2 * Math.PI * i) / degree + 0.4;
    return { re: 0.6 * Math.cos(angle), im: 0.6 * Math.sin(angle) };
  });
  for (let iteration = 0; iteration < 500; iteration++) {
    roots = roots.map((y, i) => {
      let value = { re: 0, im: 0 };
      for (let k = degree; k >= 0; k--) {
        value = {
          re: value.re * y.re - value.im * y.im + c[k] / lead,
          im: value.re * y.im + value.im * y.re,
        };
      }
      roots.forEach((other, j) => {
        if (i !== j) value = divide(value, { re: y.re - other.re, im: y.im - other.im });
      });
      return { re: y.re - value.re, im: y.im - value.im };
    });
  }
  return roots;
}

function divide(a, b) {
  const size = b.re * b.re + b.im * b.im;
  return { re: (a.re * b.re + a.im * b.im) / size, im: (a.im * b.re - a.re * b.im) / size };
}

function reciprocal(z) {
  return divide({ re: 1, im: 0 }, z);
}

function squareRoot({ re, im }) {
  const size = Math.hypot(re, im);
  const real = Math.sqrt((size + re) / 2);
  return { re: real, im: Math.sign(im || 1) * Math.sqrt((size - re) / 2) };
}

function binomial(n, k) {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return result;
}

function toFixed(v) {
  return (BigInt(Math.round(v * 2 ** 52)) * one) / 2n ** 52n;
}

function times(a, b) {
  return (a * b) / one;
}

function dot(a, b) {
  return a.reduce((s, v, i) => s + v * b[i], 0n) / one;
}

/** ⌊√v⌋ */
function wholeRoot(v) {
  let x = v;
  for (;;) {
    const next = (x + v / x) / 2n;
    if (next >= x) return x;
    x = next;
  }
}
