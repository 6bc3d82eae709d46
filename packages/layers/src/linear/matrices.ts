/** Square matrices of small use to several maps. Mathematics: docs/math/linear/conv1x1.md */
import {
  clone,
  formatShape,
  matmul,
  mul,
  requireSameShape,
  requireTensor,
  ShapeError,
  sub,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';

/** A matrix by its entries, of the size of the last axis of `like`. */
export function squareMatrix(like: Tensor, of: (i: number, j: number) => number): Tensor {
  const n = like.shape.at(-1)!;
  const values = new Float64Array(n * n);
  // Layers make several in each call, and `from` takes ten times as long.
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) values[i * n + j] = of(i, j);
  return tensor(values, [n, n], like);
}

/** The identity, likewise. */
export function identityMatrix(like: Tensor): Tensor {
  return squareMatrix(like, (i, j) => Number(i === j));
}

/**
 * The inverses of triangular matrices, one or a batch, given those of their diagonals, in log₂ C steps.
 * Each inverts diagonal blocks of twice the size: with A and D inverted, the block B beside them
 * becomes −D⁻¹BA⁻¹. Unlike a product of powers (I + N)⁻¹ = (I − N)(I + N²)…, which is as short, it
 * has no large terms that cancel, and is as accurate as substitution.
 *
 * @param inverseDiagonals diagonal matrices of the inverses of their diagonals
 * @throws ShapeError unless both are square matrices of one size.
 */
export function invertTriangular(matrices: Tensor, inverseDiagonals: Tensor): Tensor {
  const n = requireTensor('invertTriangular', matrices, 'the matrices').shape.at(-1);
  if (n === undefined || matrices.shape.at(-2) !== n) {
    throw new ShapeError(
      `invertTriangular: got ${formatShape(matrices.shape)}; expected square matrices.`,
    );
  }
  requireSameShape('invertTriangular', matrices, inverseDiagonals);
  return tidy(() => inverted(matrices, inverseDiagonals, n));
}

function inverted(matrices: Tensor, inverseDiagonals: Tensor, n: number): Tensor {
  let inverses = clone(inverseDiagonals);
  for (let size = 1; size < n; size *= 2) {
    const block = (i: number) => Math.floor(i / size);
    const beside = squareMatrix(matrices, (i, j) =>
      Number(block(i) !== block(j) && block(i) >> 1 === block(j) >> 1),
    );
    const between = matmul(matmul(inverses, mul(matrices, beside)), inverses);
    inverses = sub(inverses, between);
  }
  return inverses;
}
