/** Inverses and determinants of small matrices, by operations that every backend has. Mathematics: docs/math/residual/invertible-residual.md */
import { add, div, log, matmul, sub, type Tensor, tensor, tidy } from '@invnet/tensor';

/**
 * A⁻¹ and log det A of matrices A [N, D, D] whose leading minors are positive, such as I + J with ‖J‖ < 1: so
 * pivots need no search. Gauss–Jordan elimination in place, each step of which is an update of rank one,
 * A ← A − (A eₖ − eₖ)(eₖᵀA + eₖᵀ)/pₖ with the pivot pₖ; log det A = Σ log pₖ.
 */
export function inverseByElimination(a: Tensor): { inverse: Tensor; logdet: Tensor } {
  const [samples, size] = [a.shape[0]!, a.shape[1]!];
  let [inverse, logdet]: [Tensor, Tensor | undefined] = [a, undefined];
  for (let k = 0; k < size; k++) {
    const before: Tensor = inverse;
    const sum: Tensor | undefined = logdet;
    [inverse, logdet] = tidy(() => {
      const row = unitRow(before, k);
      const column = row.reshape([size, 1]);
      const along = matmul(before, column);
      const pivot = matmul(row, along);
      const scaled = div(add(matmul(row, before), row), pivot);
      const logarithm = log(pivot).reshape([samples]);
      return [
        sub(before, matmul(sub(along, column), scaled)),
        sum ? add(sum, logarithm) : logarithm,
      ] as const;
    });
    if (before !== a) before.dispose();
    sum?.dispose();
  }
  return { inverse, logdet: logdet! };
}

/** Row k of the identity, [1, D], where `like` [N, D, D] is. */
export function unitRow(like: Tensor, k: number): Tensor {
  const size = like.shape.at(-1)!;
  const values = new Float64Array(size);
  values[k] = 1;
  return tensor(values, [1, size], like);
}
