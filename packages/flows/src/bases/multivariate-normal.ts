/** A normal base with any covariance, by a Cholesky factor. Mathematics: docs/math/flows/bases.md */
import {
  Construction,
  channelSums,
  invertTriangular,
  Parameter,
  perSample,
  requireModuleOptions,
} from '@invnet/layers';
import {
  add,
  affine,
  exp,
  formatValue,
  matmul,
  mul,
  neg,
  requireBetween,
  requireBoolean,
  requireFinite,
  requireList,
  type Shape,
  square,
  sub,
  sum,
  sumPerSample,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries, type EntryOptions, type EntryValues } from './entries.ts';

/** Options of `MultivariateNormal`. */
export interface MultivariateNormalOptions extends EntryOptions {
  /** What means start from. Default: 0. */
  readonly mean?: EntryValues;
  /** What the Cholesky factor L of the covariance L Lᵀ starts from, by rows. Default: the identity. */
  readonly factor?: readonly (readonly number[])[];
  /** Keeps mean and factor as they are. Default: false. */
  readonly frozen?: boolean;
}

/** Numbers that depend on each other, at most: their factor is a matrix of so many squared. */
const MOST_ENTRIES = 2 ** 12;

/**
 * A normal distribution with covariance Σ = L Lᵀ, of the channels at each position, or of all numbers of a sample where
 * `size` is given: log p(z) = −½ |e|² − log|det L| − ½ D log 2π with e = L⁻¹(z − μ).
 *
 * The parameter `factor` holds L below its diagonal and the logarithms of its diagonal.
 *
 * @example new MultivariateNormal({ channels: 2, factor: [[1, 0], [0.8, 0.6]] }) // a correlation of 0.8
 */
export class MultivariateNormal extends BaseDistribution {
  static readonly type: string = 'MultivariateNormal';
  readonly mean: Parameter;
  readonly factor: Parameter;
  readonly #entries: Entries;
  readonly #frozen: boolean;

  /** @throws ValueError for sizes that are not whole, positive and moderate, or a factor that is none. */
  constructor(options: MultivariateNormalOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'size', 'mean', 'factor', 'frozen'];
    requireModuleOptions('MultivariateNormal', options, names);
    const { mean = 0, factor, frozen = false } = options;
    requireBoolean('MultivariateNormal', 'frozen', frozen);
    this.#entries = new Entries('MultivariateNormal', options);
    this.#frozen = frozen;
    const { count } = this.#entries;
    if (count > MOST_ENTRIES) {
      throw new ValueError(
        `MultivariateNormal: ${count} numbers depend on each other; expected at most ${MOST_ENTRIES}, or a Normal.`,
      );
    }
    this.mean = new Parameter('mean', this.#entries.values('mean', mean), { frozen });
    const start = factor ? parametersOf(factor, count) : new Float64Array(count ** 2);
    this.factor = new Parameter('factor', tensor(start, [count, count]), { frozen });
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, frozen: this.#frozen };
  }

  protected density(z: Tensor): Tensor {
    return this.#density(matmul(this.#inverse(), this.#centered(z)));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor) {
    const inverse = this.#inverse();
    const e = matmul(inverse, this.#centered(z));
    const weighted = mul(e, perSample(dlogProb, e));
    const dmean = matmul(inverse, weighted, { transposeA: true });
    this.mean.accumulateGrad(channelSums(dmean).reshape(this.mean.shape));
    const terms = affine(sum(dlogProb), e.shape[2]!);
    this.factor.accumulateGrad(sub(this.#factorGradient(dmean, e), mul(this.#diagonal(), terms)));
    return { logProb: this.#density(e), dz: neg(dmean).reshape(z.shape) };
  }

  protected draw(shape: Shape, { random, temperature }: Draw): Tensor {
    const noise = random.normal(
      [shape[0]!, this.#entries.count, positionsIn(shape, this.#entries)],
      temperature,
    );
    const moved = matmul(this.#lower(), noise);
    return add(moved, this.mean.data.reshape([-1, 1])).reshape(shape);
  }

  protected override drawBackward(z: Tensor, dz: Tensor) {
    const noise = matmul(this.#inverse(), this.#centered(z));
    const d = dz.reshape(noise.shape);
    this.mean.accumulateGrad(channelSums(d).reshape(this.mean.shape));
    this.factor.accumulateGrad(this.#factorGradient(d, noise));
    return {};
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  #density(e: Tensor): Tensor {
    const [, entries, positions] = e.shape;
    const halves = affine(
      sumPerSample(square(e)),
      -0.5,
      -0.5 * entries! * positions! * Math.log(2 * Math.PI),
    );
    return sub(halves, affine(sum(mul(this.factor.data, this.#diagonal())), positions!));
  }

  /** z − μ as [N, D, positions]. */
  #centered(z: Tensor): Tensor {
    const flat = z.reshape([z.shape[0]!, this.#entries.count, -1]);
    return sub(flat, this.mean.data.reshape([-1, 1]));
  }

  /** Σ d eᵀ of the entries that L has, for the parameter. */
  #factorGradient(d: Tensor, e: Tensor): Tensor {
    const products = sum(matmul(d, e, { transposeB: true }), { axes: [0] });
    return mul(products, add(this.#below(), this.#exponentials()));
  }

  #lower(): Tensor {
    return add(mul(this.factor.data, this.#below()), this.#exponentials());
  }

  #inverse(): Tensor {
    const diagonal = this.#diagonal();
    const inverses = mul(exp(neg(mul(this.factor.data, diagonal))), diagonal);
    return invertTriangular(this.#lower(), inverses);
  }

  /** The diagonal of L. What is off it must not reach the exponential, which may overflow. */
  #exponentials(): Tensor {
    const diagonal = this.#diagonal();
    return mul(exp(mul(this.factor.data, diagonal)), diagonal);
  }

  #diagonal(): Tensor {
    return this.#matrix((i, j) => i === j);
  }

  #below(): Tensor {
    return this.#matrix((i, j) => i > j);
  }

  /** 1 where it holds, else 0. */
  #matrix(holds: (i: number, j: number) => boolean): Tensor {
    const n = this.#entries.count;
    const values = Float64Array.from({ length: n * n }, (_, k) =>
      Number(holds(Math.floor(k / n), k % n)),
    );
    return tensor(values, [n, n], this.factor.data);
  }
}

/** How many terms the density of a sample has. */
function positionsIn(shape: Shape, { count }: Entries): number {
  return shape.slice(1).reduce((a, b) => a * b, 1) / count;
}

/** A factor's entries, with the logarithms of its diagonal. @throws ValueError unless it is lower triangular and regular. */
function parametersOf(factor: readonly (readonly number[])[], n: number): Float64Array {
  const op = 'MultivariateNormal';
  requireList(op, 'factor', factor, `${n} rows`);
  if (factor.length !== n || factor.some((row) => !Array.isArray(row) || row.length !== n)) {
    throw new ValueError(
      `${op}: factor is ${formatValue(factor)}; expected ${n} rows of ${n} numbers.`,
    );
  }
  const values = new Float64Array(n * n);
  for (const [i, row] of factor.entries()) {
    for (const [j, v] of row.entries()) {
      const name = `factor[${i}][${j}]`;
      if (i === j) requireBetween(op, name, v, 0);
      else requireFinite(op, name, v);
      if (j > i && v !== 0)
        throw new ValueError(`${op}: ${name} is ${v}; expected 0 above the diagonal.`);
      values[i * n + j] = i === j ? Math.log(v) : v;
    }
  }
  return values;
}
