/**
 * Regular matrices by their PLU factors (Kingma and Dhariwal, "Glow", 2018), whose determinant is a
 * product of C numbers. Mathematics: docs/math/linear/conv1x1.md
 */
import {
  add,
  concat,
  exp,
  matmul,
  mul,
  neg,
  type RandomStream,
  slice,
  sum,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import { Parameter } from '../tree/parameter.ts';
import { invertTriangular, squareMatrix } from './matrices.ts';
import { type EvaluatedMixing, type Mixing, mixingBy, mixingByTransposed } from './mixing.ts';

/** Channels at most: factors are found by elimination, which takes as many steps as channels have cubes. */
export const mostFactored = 2 ** 12;

/** What of the factors is not trained. */
export interface FixedFactors {
  /** Row i of W is row `rows[i]` of L U. */
  readonly rows: readonly number[];
  /** Those of the diagonal of U. */
  readonly signs: readonly number[];
}

/**
 * W = P L U with L unit lower triangular, U upper triangular with the diagonal ± exp(dᵢ), and P a
 * permutation. One parameter `lu` holds L below its diagonal, d on it and U above. W starts as a random
 * orthogonal matrix.
 *
 * P and the signs of the diagonal are not drawn, so the parameter and they say what W is: a saved
 * network can be loaded into one that was made with another seed.
 */
export class PluFactors implements Mixing {
  readonly parameters: readonly [Parameter];
  readonly #fixed: FixedFactors;

  constructor(channels: number, random: RandomStream, frozen: boolean, fixed: FixedFactors) {
    const lu = randomOrthogonal(channels, random);
    factorize(lu, channels);
    for (let k = 0; k < channels; k++) {
      // Changing the sign of a column of W changes that of a column of U.
      const sign = Math.sign(lu[k * (channels + 1)]!) * fixed.signs[k]!;
      for (let i = 0; i < k; i++) lu[i * channels + k]! *= sign;
      lu[k * (channels + 1)] = Math.log(Math.abs(lu[k * (channels + 1)]!));
    }
    this.#fixed = fixed;
    this.parameters = [new Parameter('lu', tensor(lu, [channels, channels]), { frozen })];
  }

  evaluate(): EvaluatedMixing {
    const { data } = this.parameters[0];
    const diagonal = this.#diagonal();
    const below = this.#entries((i, j) => Number(i > j));
    const above = this.#entries((i, j) => Number(i < j));
    const expDiagonal = this.#expDiagonal(diagonal);
    const lower = add(mul(data, below), diagonal);
    const upper = add(mul(data, above), expDiagonal);
    const permutation = this.#permutation();
    // The derivative of each entry of U by that of the parameter: 1, and ± exp(dᵢ) on the diagonal.
    const upperSlope = () => add(above, expDiagonal);
    const matrix = () => matmul(permutation, matmul(lower, upper));
    const inverse = () => {
      const inverseDiagonal = mul(this.#signs(), exp(neg(mul(data, diagonal))));
      // Both factors at once, as a batch of two.
      const inverses = invertTriangular(stack(lower, upper), stack(diagonal, inverseDiagonal));
      const [lowerInverse, upperInverse] = [0, 1].map((i) =>
        slice(inverses, 0, i, 1).reshape(data.shape),
      );
      return matmul(matmul(upperInverse!, lowerInverse!), permutation, { transposeB: true });
    };
    return {
      apply: (x) => mixingBy(matrix())(x),
      applyInverse: (x) => mixingBy(inverse())(x),
      applyTransposed: (x) => mixingByTransposed(matrix())(x),
      applyInverseTransposed: (x) => mixingByTransposed(inverse())(x),
      tangent: (tangent) => {
        const d = tangent.parameters?.get(this.parameters[0]);
        if (!d) return undefined;
        const dlower = matmul(mul(d, below), upper);
        const dupper = matmul(lower, mul(d, upperSlope()));
        return matmul(permutation, add(dlower, dupper));
      },
      accumulate: (g) => {
        const permuted = matmul(permutation, g, { transposeA: true });
        const dlower = matmul(permuted, upper, { transposeB: true });
        const dupper = matmul(lower, permuted, { transposeA: true });
        this.parameters[0].accumulateGrad(add(mul(dlower, below), mul(dupper, upperSlope())));
      },
    };
  }

  readonly volume = {
    /** Σ dᵢ */
    logdet: (): Tensor => sum(mul(this.parameters[0].data, this.#diagonal())),
    tangent: (tangent: Tangent): Tensor | undefined => {
      const d = tangent.parameters?.get(this.parameters[0]);
      return d && sum(mul(d, this.#diagonal()));
    },
    accumulate: (gradient: Tensor, factor: number): void => {
      this.parameters[0].accumulateGrad(mul(this.#diagonal(), gradient), factor);
    },
  };

  /** ± exp(dᵢ) on the diagonal. What is off it must not reach the exponential, which may overflow. */
  #expDiagonal(diagonal: Tensor): Tensor {
    return mul(this.#signs(), exp(mul(this.parameters[0].data, diagonal)));
  }

  #diagonal(): Tensor {
    return this.#entries((i, j) => Number(i === j));
  }

  /** The signs on the diagonal, zeros elsewhere. */
  #signs(): Tensor {
    return this.#entries((i, j) => (i === j ? this.#fixed.signs[i]! : 0));
  }

  /** P */
  #permutation(): Tensor {
    return this.#entries((i, j) => Number(this.#fixed.rows[i] === j));
  }

  #entries(of: (i: number, j: number) => number): Tensor {
    return squareMatrix(this.parameters[0].data, of);
  }
}

function stack(a: Tensor, b: Tensor): Tensor {
  return concat([a.reshape([1, ...a.shape]), b.reshape([1, ...b.shape])], 0);
}

/** A product of reflections by C normal vectors, row-major. */
function randomOrthogonal(n: number, random: RandomStream): Float64Array {
  const q = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) ? 0 : 1));
  for (let k = 0; k < n; k++) {
    const v = random.normalArray(n);
    const square = v.reduce((s, x) => s + x * x, 0);
    for (let i = 0; i < n; i++) {
      let along = 0;
      for (let j = 0; j < n; j++) along += q[i * n + j]! * v[j]!;
      for (let j = 0; j < n; j++) q[i * n + j]! -= (2 * along * v[j]!) / square;
    }
  }
  return q;
}

/**
 * Elimination with pivoting, in place: L below the diagonal, U on and above it. Returns which row of the
 * matrix became which row of L U; undefined for a singular matrix.
 */
export function factorize(lu: Float64Array, n: number): number[] | undefined {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(lu[i * n + k]!) > Math.abs(lu[pivot * n + k]!)) pivot = i;
    }
    if (lu[pivot * n + k] === 0) return undefined;
    [order[k], order[pivot]] = [order[pivot]!, order[k]!];
    for (let j = 0; j < n; j++) {
      [lu[k * n + j], lu[pivot * n + j]] = [lu[pivot * n + j]!, lu[k * n + j]!];
    }
    for (let i = k + 1; i < n; i++) {
      lu[i * n + k]! /= lu[k * n + k]!;
      for (let j = k + 1; j < n; j++) lu[i * n + j]! -= lu[i * n + k]! * lu[k * n + j]!;
    }
  }
  return order;
}
