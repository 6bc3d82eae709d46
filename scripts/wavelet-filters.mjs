/**
 * Computes the scaling filters of orthogonal wavelets and writes
 * packages/layers/src/wavelet-filters.ts. Daubechies filters and symlets by spectral factorization
 * (Daubechies, "Ten lectures on wavelets", 1992, chapters 6 and 8), coiflets from their moment
 * equations; each is then polished by Newton's method to the last digits of float64.
 *
 *   node scripts/wavelet-filters.mjs
 */
import { writeFile } from 'node:fs/promises';

const filters = {};
for (let n = 1; n <= 10; n++) filters[`db${n}`] = polish(daubechies(n), n, []);
for (let n = 2; n <= 10; n++) filters[`sym${n}`] = polish(symlet(n), n, []);
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
  const k = i + 1;
  const centered = Array.from({ length: 2 * k - 1 }, (_, p) => ({ center: 2 * k, power: p + 1 }));
  filters[`coif${k}`] = polish(start, 2 * k, centered);
});

const written = (v) =>
  Math.abs(v - Math.SQRT1_2) < 1e-15 ? 'Math.SQRT1_2' : v.toPrecision(17).replace(/0+$/, '');
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
await writeFile(new URL('../packages/layers/src/wavelet-filters.ts', import.meta.url), text);

/** The filter whose zeros all lie inside the unit circle. */
function daubechies(n) {
  return fromZeros(n, zeroPairs(n).flat());
}

/** The choice of zeros, inside or outside the unit circle, whose phase is the nearest to linear. */
function symlet(n) {
  const pairs = zeroPairs(n);
  let best;
  for (let choice = 0; choice < 2 ** pairs.length; choice++) {
    const zeros = pairs.flatMap((pair, i) => (choice & (1 << i) ? pair.map(reciprocal) : pair));
    const h = fromZeros(n, zeros);
    const bend = phaseBend(h);
    if (!best || bend < best.bend - 1e-9) best = { h, bend };
  }
  return best.h;
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

/** How far the phase of the filter's frequency response is from a line. */
function phaseBend(h) {
  let previous = 0;
  const phases = [];
  const count = 64;
  for (let i = 0; i <= count; i++) {
    const w = (Math.PI * 0.98 * i) / count;
    const re = h.reduce((s, v, k) => s + v * Math.cos(k * w), 0);
    const im = h.reduce((s, v, k) => s - v * Math.sin(k * w), 0);
    let phase = Math.atan2(im, re);
    while (phase - previous > Math.PI) phase -= 2 * Math.PI;
    while (phase - previous < -Math.PI) phase += 2 * Math.PI;
    phases.push(phase);
    previous = phase;
  }
  const slope = phases.reduce((s, p, i) => s + p * i, 0) / phases.reduce((s, _, i) => s + i * i, 0);
  return phases.reduce((s, p, i) => s + (p - slope * i) ** 2, 0);
}

/**
 * Gauss–Newton on orthonormality, `moments` vanishing moments of the wavelet, and vanishing moments
 * of the scaling function about a center.
 */
function polish(start, moments, centered) {
  let h = [...start];
  const length = h.length;
  for (let iteration = 0; iteration < 30; iteration++) {
    const rows = [];
    const residuals = [];
    for (let m = 0; m < length / 2; m++) {
      const row = new Array(length).fill(0);
      let r = m === 0 ? -1 : 0;
      for (let k = 0; k + 2 * m < length; k++) {
        r += h[k] * h[k + 2 * m];
        row[k] += h[k + 2 * m];
        row[k + 2 * m] += h[k];
      }
      rows.push(row);
      residuals.push(r);
    }
    const linear = (weights, target) => {
      rows.push(weights);
      residuals.push(weights.reduce((s, w, k) => s + w * h[k], -target));
    };
    linear(new Array(length).fill(1), Math.SQRT2);
    const middle = (length - 1) / 2;
    for (let p = 0; p < moments; p++) {
      linear(
        h.map((_, k) => (k % 2 ? -1 : 1) * ((k - middle) / length) ** p),
        0,
      );
    }
    for (const { center, power } of centered) {
      linear(
        h.map((_, k) => ((k - center) / length) ** power),
        0,
      );
    }
    const step = leastSquares(rows, residuals);
    h = h.map((v, k) => v - step[k]);
    if (Math.max(...step.map(Math.abs)) < 1e-16) break;
  }
  return h;
}

/** min ‖A s − r‖ by the QR factorization of modified Gram–Schmidt, twice for accuracy. */
function leastSquares(rows, r) {
  const [m, n] = [rows.length, rows[0].length];
  const q = Array.from({ length: n }, (_, j) => rows.map((row) => row[j]));
  const triangle = Array.from({ length: n }, () => new Array(n).fill(0));
  const dot = (a, b) => a.reduce((s, v, i) => s + v * b[i], 0);
  for (let j = 0; j < n; j++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let i = 0; i < j; i++) {
        const c = dot(q[i], q[j]);
        triangle[i][j] += c;
        for (let k = 0; k < m; k++) q[j][k] -= c * q[i][k];
      }
    }
    triangle[j][j] = Math.sqrt(dot(q[j], q[j]));
    for (let k = 0; k < m; k++) q[j][k] /= triangle[j][j];
  }
  const s = q.map((column) => dot(column, r));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) s[i] -= triangle[i][j] * s[j];
    s[i] /= triangle[i][i];
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
