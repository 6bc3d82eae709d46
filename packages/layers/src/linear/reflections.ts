/** Orthogonal matrices as products of Householder reflections. Mathematics: docs/math/linear/conv1x1.md */
import {
  add,
  affine,
  concat,
  fusedReflections,
  matmul,
  mul,
  power,
  type RandomStream,
  slice,
  sub,
  sum,
  sumSquares,
  type Tensor,
} from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { identityMatrix, invertTriangular, squareMatrix } from './matrices.ts';
import { type EvaluatedMixing, type Mixing, orthogonalBy } from './mixing.ts';

/**
 * W = H(v₁)H(v₂)…H(vₖ) with H(v) = I − 2vvᵀ/vᵀv: orthogonal whatever the vectors are. Computed in the
 * compact form W = I − UᵀTU, with the rows uₖ = √2 vₖ/|vₖ| of U and a triangular T.
 */
export class Reflections implements Mixing {
  readonly parameters: readonly Parameter[];

  constructor(channels: number, count: number, random: RandomStream, frozen: boolean) {
    using building = new Construction();
    this.parameters = Array.from(
      { length: count },
      (_, k) => new Parameter(`v${k + 1}`, random.normal([channels]), { frozen }),
    );
    building.complete();
  }

  evaluate(): EvaluatedMixing {
    const [v1, v2, v3] = this.parameters;
    const fused =
      v2 && v3 && this.parameters.length === 3
        ? fusedReflections([v1!.data, v2.data, v3.data])
        : undefined;
    if (fused) {
      return {
        ...orthogonalBy(fused.matrix()),
        tangent: (tangent) => this.#compact().tangent(tangent),
        accumulate: (g) => {
          fused.backward(g).forEach((gradient, i) => {
            this.parameters[i]!.takeGrad(gradient);
          });
        },
      };
    }
    return this.#compact();
  }

  /** By operations that every backend has. */
  #compact(): EvaluatedMixing {
    const v = rowsOf(this.parameters.map((p) => p.data));
    const root = affine(power(sumSquares(v, { axes: [1], keepDims: true }), -0.5), Math.SQRT2);
    const u = mul(v, root);
    const gram = matmul(u, u, { transposeB: true });
    const above = squareMatrix(gram, (i, j) => Number(i < j));
    const unit = identityMatrix(gram);
    // (I + S)⁻¹ of the part S of UUᵀ that is above the diagonal.
    const t = invertTriangular(add(mul(gram, above), unit), unit);
    const tu = matmul(t, u);
    const n = v.shape[1]!;
    const reflected = matmul(u, tu, { transposeA: true });
    const w = sub(identityMatrix(reflected), reflected);
    return {
      ...orthogonalBy(w),
      tangent: (tangent) => {
        const dv = this.#direction(tangent);
        return dv && matrixTangent({ u, t, tu, above }, throughNorm(u, root, dv));
      },
      accumulate: (g) => {
        const dv = throughNorm(u, root, rowsGradient({ u, t, tu, above }, g));
        this.parameters.forEach((p, i) => {
          p.takeGrad(slice(dv, 0, i, 1).reshape([n]));
        });
      },
    };
  }

  /** The directions of all vectors as rows; undefined where none moves. */
  #direction(tangent: Tangent): Tensor | undefined {
    const directions = this.parameters.map((p) => tangent.parameters?.get(p));
    if (directions.every((d) => d === undefined)) return undefined;
    return rowsOf(directions.map((d, i) => d ?? affine(this.parameters[i]!.data, 0)));
  }
}

/** The pieces of W = I − UᵀTU; `above` is 1 above the diagonal. */
interface Pieces {
  readonly u: Tensor;
  readonly t: Tensor;
  readonly tu: Tensor;
  readonly above: Tensor;
}

/** Ẇ = −U̇ᵀTU − UᵀTU̇ + UᵀTṠTU with Ṡ = (U̇Uᵀ + UU̇ᵀ) above the diagonal. */
function matrixTangent({ u, t, tu, above }: Pieces, du: Tensor): Tensor {
  const product = matmul(du, u, { transposeB: true });
  const ds = mul(add(product, matmul(u, du, { transposeB: true })), above);
  const inner = sub(matmul(ds, tu), du);
  const moved = matmul(u, matmul(t, inner), { transposeA: true });
  return sub(moved, matmul(du, tu, { transposeA: true }));
}

/** Ū = (M + Mᵀ)U − TU Gᵀ − TᵀU G with M = TᵀU G (TU)ᵀ above the diagonal, for G = ∂loss/∂W. */
function rowsGradient({ u, t, tu, above }: Pieces, g: Tensor): Tensor {
  const ug = matmul(matmul(t, u, { transposeA: true }), g);
  const m = mul(matmul(ug, tu, { transposeB: true }), above);
  const symmetric = add(matmul(m, u), matmul(m, u, { transposeA: true }));
  return sub(symmetric, add(ug, matmul(tu, g, { transposeB: true })));
}

/** (√2/|v|)(d − u(uᵀd)/2) for each row: the derivative of u = √2 v/|v|, which is its own adjoint. */
function throughNorm(u: Tensor, root: Tensor, d: Tensor): Tensor {
  const along = affine(sum(mul(u, d), { axes: [1], keepDims: true }), 0.5);
  return mul(sub(d, mul(u, along)), root);
}

/** Vectors as the rows of a matrix. */
function rowsOf(vectors: readonly Tensor[]): Tensor {
  return concat(
    vectors.map((v) => v.reshape([1, -1])),
    0,
  );
}
