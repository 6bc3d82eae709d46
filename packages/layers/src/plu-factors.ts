/**
 * Regular matrices by their PLU factors (Kingma and Dhariwal, "Glow", 2018), whose determinant is a
 * product of C numbers. Mathematics: docs/math/conv1x1.md
 */
import {
  add,
  exp,
  matmul,
  mul,
  neg,
  type RandomStream,
  sum,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import type { Mixing } from './conv1x1.ts';
import { Parameter } from './parameter.ts';

/**
 * W = P L U with a fixed permutation P, L unit lower triangular and U upper triangular with the
 * diagonal ±exp(dᵢᵢ), whose signs are fixed. One parameter `lu` holds L below its diagonal, d on it
 * and U above. W starts as a random orthogonal matrix.
 */
export class PluFactors implements Mixing {
  readonly parameters: readonly [Parameter];
  readonly #channels: number;
  readonly #rows: readonly number[];
  readonly #signs: readonly number[];

  constructor(channels: number, random: RandomStream, frozen: boolean) {
    const { lu, rows } = factorize(randomOrthogonal(channels, random), channels);
    this.#channels = channels;
    this.#rows = rows;
    const diagonal = rows.map((_, i) => lu[i * (channels + 1)]!);
    this.#signs = diagonal.map(Math.sign);
    diagonal.forEach((v, i) => {
      lu[i * (channels + 1)] = Math.log(Math.abs(v));
    });
    this.parameters = [new Parameter('lu', tensor(lu, [channels, channels]), { frozen })];
  }

  matrix(): Tensor {
    return matmul(matmul(this.#permutation(), this.#lower()), this.#upper());
  }

  inverse(): Tensor {
    const permuted = matmul(invertUnit(this.#strictLower(), this.#channels), this.#permutation(), {
      transposeB: true,
    });
    // U = D(I + D⁻¹ strict U), so U⁻¹ = (I + D⁻¹ strict U)⁻¹ D⁻¹.
    const scale = mul(this.#signColumn(), exp(neg(this.#logDiagonal())));
    const unit = invertUnit(mul(this.#strictUpper(), scale), this.#channels);
    return matmul(unit, mul(permuted, scale));
  }

  tangent(tangent: Tangent): Tensor | undefined {
    const d = tangent.parameters?.get(this.parameters[0]);
    if (!d) return undefined;
    const dlower = mul(
      d,
      this.#mask((i, j) => i > j),
    );
    const dupper = add(
      mul(
        d,
        this.#mask((i, j) => i < j),
      ),
      mul(
        mul(
          d,
          this.#mask((i, j) => i === j),
        ),
        this.#upper(),
      ),
    );
    const moved = add(matmul(dlower, this.#upper()), matmul(this.#lower(), dupper));
    return matmul(this.#permutation(), moved);
  }

  accumulate(g: Tensor): void {
    const rows = matmul(this.#permutation(), g, { transposeA: true });
    const dlower = matmul(rows, this.#upper(), { transposeB: true });
    const dupper = matmul(this.#lower(), rows, { transposeA: true });
    const diagonal = mul(
      mul(dupper, this.#upper()),
      this.#mask((i, j) => i === j),
    );
    const strict = add(
      mul(
        dlower,
        this.#mask((i, j) => i > j),
      ),
      mul(
        dupper,
        this.#mask((i, j) => i < j),
      ),
    );
    this.parameters[0].accumulateGrad(add(strict, diagonal));
  }

  readonly volume = {
    /** Σ dᵢᵢ */
    logdet: (): Tensor =>
      sum(
        mul(
          this.parameters[0].data,
          this.#mask((i, j) => i === j),
        ),
      ),
    tangent: (tangent: Tangent): Tensor | undefined => {
      const d = tangent.parameters?.get(this.parameters[0]);
      return (
        d &&
        sum(
          mul(
            d,
            this.#mask((i, j) => i === j),
          ),
        )
      );
    },
    accumulate: (gradient: Tensor, factor: number): void => {
      this.parameters[0].accumulateGrad(
        mul(
          this.#mask((i, j) => i === j),
          gradient,
        ),
        factor,
      );
    },
  };

  #lower(): Tensor {
    return add(
      this.#strictLower(),
      this.#mask((i, j) => i === j),
    );
  }

  #upper(): Tensor {
    const diagonal = mul(this.#signColumn(), exp(this.#logDiagonal()));
    return add(
      this.#strictUpper(),
      mul(
        this.#mask((i, j) => i === j),
        diagonal,
      ),
    );
  }

  #strictLower(): Tensor {
    return mul(
      this.parameters[0].data,
      this.#mask((i, j) => i > j),
    );
  }

  #strictUpper(): Tensor {
    return mul(
      this.parameters[0].data,
      this.#mask((i, j) => i < j),
    );
  }

  /** d as a column [C, 1]. */
  #logDiagonal(): Tensor {
    const kept = mul(
      this.parameters[0].data,
      this.#mask((i, j) => i === j),
    );
    return sum(kept, { axes: [1], keepDims: true });
  }

  #signColumn(): Tensor {
    return tensor(Float64Array.from(this.#signs), [this.#channels, 1], this.parameters[0].data);
  }

  #permutation(): Tensor {
    return this.#mask((i, j) => this.#rows[j] === i);
  }

  #mask(inside: (i: number, j: number) => boolean): Tensor {
    const n = this.#channels;
    const values = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) values[i * n + j] = inside(i, j) ? 1 : 0;
    }
    return tensor(values, [n, n], this.parameters[0].data);
  }
}

/**
 * (I + N)⁻¹ = (I − N)(I + N²)(I + N⁴)… for a strictly triangular N: with Nᶜ = 0 the product ends
 * after log₂ C factors.
 */
function invertUnit(strict: Tensor, channels: number): Tensor {
  const identity = tensor(
    Float64Array.from({ length: channels * channels }, (_, i) => (i % (channels + 1) ? 0 : 1)),
    [channels, channels],
    strict,
  );
  let power = neg(strict);
  let result = add(identity, power);
  for (let reached = 2; reached < channels; reached *= 2) {
    power = matmul(power, power);
    result = matmul(result, add(identity, power));
  }
  return result;
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

/** Elimination with partial pivoting: row k of L U is row `rows[k]` of the matrix. */
function factorize(matrix: Float64Array, n: number): { lu: Float64Array; rows: number[] } {
  const lu = Float64Array.from(matrix);
  const rows = Array.from({ length: n }, (_, i) => i);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(lu[i * n + k]!) > Math.abs(lu[pivot * n + k]!)) pivot = i;
    }
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let j = 0; j < n; j++) {
      [lu[k * n + j], lu[pivot * n + j]] = [lu[pivot * n + j]!, lu[k * n + j]!];
    }
    for (let i = k + 1; i < n; i++) {
      lu[i * n + k]! /= lu[k * n + k]!;
      for (let j = k + 1; j < n; j++) lu[i * n + j]! -= lu[i * n + k]! * lu[k * n + j]!;
    }
  }
  return { lu, rows };
}
