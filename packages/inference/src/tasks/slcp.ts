/** Simple likelihood, complex posterior (Papamakarios et al., "Sequential neural likelihood", 2019). */
import type { RandomStream } from '@invnet/tensor';
import { uniformPrior } from '../priors/families.ts';
import { gammaDraw } from '../priors/gamma.ts';
import { observationsOf } from './observations.ts';
import { BenchmarkTask } from './task.ts';

const bound = 3;
const points = 4;
/** Keeps the covariance positive, as in the benchmark's code. */
const jitter = 1e-6;

/**
 * Four points of N((θ₁, θ₂), S) in the plane, with deviations θ₃² and θ₄² and correlation tanh θ₅; five parameters, uniform in
 * [−3, 3]. Signs of θ₃ and θ₄ cannot be told, so the posterior has four modes.
 */
export function slcpTask(): BenchmarkTask {
  return new BenchmarkTask({
    name: 'slcp',
    dataSize: 2 * points,
    prior: uniformPrior({ low: new Array(5).fill(-bound), high: new Array(5).fill(bound) }),
    observations: observationsOf('slcp'),
    simulateRow(theta, random, x) {
      const [l11, l21, l22] = factorOf(covariance(theta[2]!, theta[3]!, theta[4]!));
      const noise = random.normalArray(2 * points);
      for (let i = 0; i < points; i++) {
        x[2 * i] = theta[0]! + l11 * noise[2 * i]!;
        x[2 * i + 1] = theta[1]! + l21 * noise[2 * i]! + l22 * noise[2 * i + 1]!;
      }
    },
    likelihoodOf: (x) => {
      const { mean, scatter } = momentsOf(x);
      return (theta) => {
        const s = covariance(theta[2]!, theta[3]!, theta[4]!);
        const [d1, d2] = [mean[0] - theta[0]!, mean[1] - theta[1]!];
        const off: Symmetric = [d1 * d1, d1 * d2, d2 * d2];
        const square = traceOfRatio(scatter, s) + points * traceOfRatio(off, s);
        return -0.5 * (square + points * Math.log(determinant(s))) - points * Math.log(2 * Math.PI);
      };
    },
    // Over all means the likelihood of S is |S|^(−3/2)·exp(−tr(S⁻¹A)/2). Uniform θ₃, θ₄ and θ₅ weigh a covariance by
    // (s₁₁s₂₂)^(−3/4)/(1 − ρ²), so that an inverse Wishart proposal of 2.5 degrees of freedom leaves (1 − ρ²)^(1/4), to accept
    // by. What is added to keep S positive is left out.
    proposalOf: (x) => {
      const { mean, scatter } = momentsOf(x);
      const draw = inverseWishart(scatter, 2.5);
      return (random, theta) => {
        const s = draw(random);
        if (Math.max(s[0], s[2]) > bound ** 4) return false;
        const rho = s[1] / Math.sqrt(s[0] * s[2]);
        const [height, sign3, sign4] = random.uniformArray(3);
        if (height! > (1 - rho * rho) ** 0.25) return false;
        drawMean(mean, s, random, theta);
        theta[2] = s[0] ** 0.25 * (sign3! < 0.5 ? 1 : -1);
        theta[3] = s[2] ** 0.25 * (sign4! < 0.5 ? 1 : -1);
        theta[4] = Math.atanh(rho);
        return theta.every((t) => Math.abs(t) <= bound);
      };
    },
  });
}

/** A symmetric 2 × 2 matrix: s₁₁, s₁₂, s₂₂. */
type Symmetric = readonly [number, number, number];

function covariance(t3: number, t4: number, t5: number): Symmetric {
  const [s1, s2] = [t3 * t3, t4 * t4];
  return [s1 * s1 + jitter, Math.tanh(t5) * s1 * s2, s2 * s2 + jitter];
}

function determinant([a, b, c]: Symmetric): number {
  return a * c - b * b;
}

/** tr(S⁻¹A) */
function traceOfRatio([a, b, c]: Symmetric, s: Symmetric): number {
  return (a * s[2] - 2 * b * s[1] + c * s[0]) / determinant(s);
}

/** L of S = L Lᵀ: l₁₁, l₂₁, l₂₂. */
function factorOf([a, b, c]: Symmetric): Symmetric {
  const l11 = Math.sqrt(a);
  const l21 = b / l11;
  return [l11, l21, Math.sqrt(c - l21 * l21)];
}

/** The mean of the points, and the sum of squares around it. */
function momentsOf(x: Float64Array) {
  const at = (i: number) => [x[2 * i]!, x[2 * i + 1]!] as const;
  const mean = [0, 0] as [number, number];
  for (let i = 0; i < points; i++) {
    mean[0] += at(i)[0] / points;
    mean[1] += at(i)[1] / points;
  }
  const scatter = [0, 0, 0] as [number, number, number];
  for (let i = 0; i < points; i++) {
    const [d1, d2] = [at(i)[0] - mean[0], at(i)[1] - mean[1]];
    scatter[0] += d1 * d1;
    scatter[1] += d1 * d2;
    scatter[2] += d2 * d2;
  }
  return { mean, scatter };
}

function drawMean(
  mean: readonly [number, number],
  s: Symmetric,
  random: RandomStream,
  theta: Float64Array,
): void {
  const [l11, l21, l22] = factorOf(s);
  const [z1, z2] = random.normalArray(2, 1 / Math.sqrt(points));
  theta[0] = mean[0] + l11 * z1!;
  theta[1] = mean[1] + l21 * z1! + l22 * z2!;
}

/**
 * Draws S with density ∝ |S|^(−(ν + 3)/2)·exp(−tr(S⁻¹A)/2), as the inverse of a product of factors that Bartlett ("On the
 * theory of statistical regression", 1933) gives.
 */
function inverseWishart(scatter: Symmetric, degrees: number): (random: RandomStream) => Symmetric {
  const d = determinant(scatter);
  const factor = factorOf([scatter[2] / d, -scatter[1] / d, scatter[0] / d]);
  return (random) => {
    const t11 = Math.sqrt(2 * gammaDraw(degrees / 2, random));
    const t22 = Math.sqrt(2 * gammaDraw((degrees - 1) / 2, random));
    const t21 = random.normalArray(1)[0]!;
    const [l11, l21, l22] = [factor[0] * t11, factor[1] * t11 + factor[2] * t21, factor[2] * t22];
    // The inverse of L Lᵀ.
    const root = l11 * l22;
    return [(l21 * l21 + l22 * l22) / root ** 2, (-l11 * l21) / root ** 2, (l11 * l11) / root ** 2];
  };
}
