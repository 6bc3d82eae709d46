/** The determinant of a small dense matrix, for checks only: nothing else here forms a matrix. */

/**
 * log|det A| of an n×n matrix in row-major order, by elimination with partial pivoting;
 * −∞ for a singular matrix.
 *
 * @example logAbsDeterminant([2, 0, 0, 3], 2) // log 6
 */
export function logAbsDeterminant(matrix: ArrayLike<number>, n: number): number {
  const a = Float64Array.from(matrix);
  let total = 0;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) {
      if (Math.abs(a[i * n + k]!) > Math.abs(a[pivot * n + k]!)) pivot = i;
    }
    const head = a[pivot * n + k]!;
    if (head === 0) return Number.NEGATIVE_INFINITY;
    total += Math.log(Math.abs(head));
    for (let j = k; j < n; j++) {
      const swapped = a[pivot * n + j]!;
      a[pivot * n + j] = a[k * n + j]!;
      a[k * n + j] = swapped;
    }
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k]! / head;
      for (let j = k; j < n; j++) a[i * n + j]! -= factor * a[k * n + j]!;
    }
  }
  return total;
}
