/** Softmax attention as a function of queries, keys and values, with its derivatives. Mathematics: docs/math/conditioners/attention.md */
import {
  add,
  affine,
  div,
  exp,
  matmul,
  max,
  mul,
  sub,
  sum,
  type Tensor,
  tidy,
} from '@invnet/tensor';

/** Queries [B, d, P], keys and values [B, d, M], B samples times heads. */
export interface Projections {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** The shares [B, P, M] that each query has of the values: softmax of qᵀk/√d + bias, which broadcasts. */
export function attentionShares({ q, k }: Projections, bias: Tensor | undefined): Tensor {
  return tidy(() => {
    const scores = affine(matmul(q, k, { transposeA: true }), scale(q));
    const biased = bias ? add(scores, bias) : scores;
    const e = exp(sub(biased, max(biased, { axes: [2], keepDims: true })));
    return div(e, sum(e, { axes: [2], keepDims: true }));
  });
}

/** o [B, d, P], the values by those shares. */
export function attend(shares: Tensor, v: Tensor): Tensor {
  return matmul(v, shares, { transposeB: true });
}

/** The gradients of queries, keys and values for that of o. */
export function attendBack({ q, k, v }: Projections, shares: Tensor, dout: Tensor): Projections {
  return tidy(() => {
    const dscores = affine(throughSoftmax(shares, matmul(dout, v, { transposeA: true })), scale(q));
    return {
      q: matmul(k, dscores, { transposeB: true }),
      k: matmul(q, dscores),
      v: matmul(dout, shares),
    };
  });
}

/** The derivative of o along directions of queries, keys and values. */
export function attendTangent(
  { q, k, v }: Projections,
  shares: Tensor,
  { q: dq, k: dk, v: dv }: Projections,
): Tensor {
  return tidy(() => {
    const moved = add(matmul(dq, k, { transposeA: true }), matmul(q, dk, { transposeA: true }));
    const dshares = throughSoftmax(shares, affine(moved, scale(q)));
    return add(attend(shares, dv), attend(dshares, v));
  });
}

/** The derivative of the softmax, which is symmetric: a ⊙ (u − Σ a ⊙ u). */
function throughSoftmax(shares: Tensor, u: Tensor): Tensor {
  const total = sum(mul(shares, u), { axes: [2], keepDims: true });
  return mul(shares, sub(u, total));
}

function scale(q: Tensor): number {
  return 1 / Math.sqrt(q.shape[1]!);
}
