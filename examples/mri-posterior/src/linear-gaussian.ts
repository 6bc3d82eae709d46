/**
 * The problem whose posterior is known in closed form: complex images of 8 × 8 whose real and imaginary parts
 * are normal, N(0, C), five of whose eight lines of k-space are observed.
 *
 *   C = exp(−|p − q|²/2ℓ²) + τ² 1 over pixels p, q;   K = C Aᵀ(A C Aᵀ + σ² 1)⁻¹
 *   mean of x given d: K d;   covariance: C − K A C
 */
import { cartesianLines, PhaseEncodedFourier } from '@invnet/operators';
import { add, clone, matmul, RandomStream, tensor, tidy } from '@invnet/tensor';
import { CholeskyDecomposition, Matrix, solve } from 'ml-matrix';
import type { InverseProblem } from './problem.ts';

const size = 8;
const pixels = size * size;
/** ℓ */
const length = 2;
/** τ */
const imageNoise = 0.1;
const noise = 0.05;

/** Real and imaginary parts; of the zero-filled image. */
export const linearGaussianChannels = { channels: 2, contextChannels: 2 };

/** The problem, with lines that follow from a seed. */
export async function linearGaussian(): Promise<InverseProblem> {
  const random = new RandomStream(0);
  const lines = cartesianLines({ size, acceleration: 1.6, center: 0.25, random });
  const scanner = () => new PhaseEncodedFourier({ size: [size, size], lines });
  const observed = 2 * lines.length * size;
  const covariance = covarianceOfPixels();
  const root = tensor(new CholeskyDecomposition(covariance).lowerTriangularMatrix.to1DArray(), [
    pixels,
    pixels,
  ]);

  // A as a matrix, a column for each number of an image; and C for both parts of it.
  const identity = Matrix.eye(2 * pixels);
  using units = tensor(identity.to1DArray(), [2 * pixels, 2, size, size]);
  using whole = scanner();
  using columns = whole.forward(units);
  const A = Matrix.from1DArray(2 * pixels, observed, [...(await columns.data())]).transpose();
  const C = Matrix.zeros(2 * pixels, 2 * pixels);
  for (const at of [0, pixels]) C.setSubMatrix(covariance, at, at);
  const AC = A.mmul(C);
  const S = AC.mmul(A.transpose()).add(Matrix.eye(observed).mul(noise ** 2));
  const gain = solve(S, AC).transpose();
  const explained = gain.mmul(AC);

  return {
    ...linearGaussianChannels,
    size,
    noise,
    observed,
    spread: 0.25,
    posterior: {
      deviation: Float64Array.from(C.diagonal(), (c, i) => Math.sqrt(c - explained.get(i, i))),
      mean: (data) =>
        Float64Array.from(gain.mmul(Matrix.columnVector(Array.from(data))).to1DArray()),
    },
    draw: async (_, count, random) =>
      tidy(() => {
        const white = random.normal([2 * count, pixels]);
        const x = matmul(white, root, { transposeB: true }).reshape([count, 2, size, size]);
        const operator = scanner();
        const clean = operator.forward(x);
        const data = add(clean, random.normal(clean.shape, noise));
        const context = operator.adjoint(data);
        return { x: clone(x), data, context, operator, operatorOf: scanner };
      }),
  };
}

function covarianceOfPixels(): Matrix {
  const C = Matrix.eye(pixels).mul(imageNoise ** 2);
  for (let p = 0; p < pixels; p++) {
    for (let q = 0; q < pixels; q++) {
      const down = Math.floor(p / size) - Math.floor(q / size);
      const across = (p % size) - (q % size);
      C.set(p, q, C.get(p, q) + Math.exp(-(down ** 2 + across ** 2) / (2 * length ** 2)));
    }
  }
  return C;
}
