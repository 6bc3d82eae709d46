/** Small matrices on the host, row-major, as the libraries store and factorize those of their 1×1 convolutions. */

/** W = P L U: row i of L U is row `order[i]` of W. */
export interface Factors {
  readonly order: readonly number[];
  /** L below the diagonal, whose own diagonal is 1, and U on and above it. */
  readonly lu: Float64Array;
}

/** Elimination, with the largest pivot or without exchanges. Undefined where a pivot is 0. */
export function factorize(matrix: Float64Array, pivoting: boolean): Factors | undefined {
  const n = Math.sqrt(matrix.length);
  const lu = Float64Array.from(matrix);
  const order = Array.from({ length: n }, (_, i) => i);
  const at = (i: number, j: number) => i * n + j;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    if (pivoting) {
      for (let i = k + 1; i < n; i++) {
        if (Math.abs(lu[at(i, k)]!) > Math.abs(lu[at(pivot, k)]!)) pivot = i;
      }
    }
    if (lu[at(pivot, k)] === 0) return undefined;
    [order[k], order[pivot]] = [order[pivot]!, order[k]!];
    for (let j = 0; j < n; j++) {
      [lu[at(k, j)], lu[at(pivot, j)]] = [lu[at(pivot, j)]!, lu[at(k, j)]!];
    }
    for (let i = k + 1; i < n; i++) {
      lu[at(i, k)]! /= lu[at(k, k)]!;
      for (let j = k + 1; j < n; j++) lu[at(i, j)]! -= lu[at(i, k)]! * lu[at(k, j)]!;
    }
  }
  return { order, lu };
}

/** P L U */
export function matrixOf({ order, lu }: Factors): Float64Array {
  const n = order.length;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = i <= j ? lu[i * n + j]! : 0;
      for (let k = 0; k < Math.min(i, j + 1); k++) sum += lu[i * n + k]! * lu[k * n + j]!;
      matrix[order[i]! * n + j] = sum;
    }
  }
  return matrix;
}

export function transposed(matrix: Float64Array): Float64Array {
  const n = Math.sqrt(matrix.length);
  return Float64Array.from(matrix, (_, k) => matrix[(k % n) * n + Math.floor(k / n)]!);
}

/** Order of positions → which position each came from, turned round. */
export function inverseOrder(order: readonly number[]): number[] {
  const inverse = new Array<number>(order.length);
  order.forEach((from, to) => {
    inverse[from] = to;
  });
  return inverse;
}

/** Of a matrix with one 1 in each row and column, the column of each row's. */
export function orderOfPermutation(matrix: Float64Array): number[] | undefined {
  const n = Math.sqrt(matrix.length);
  const order = Array.from({ length: n }, (_, i) => matrix.subarray(i * n, i * n + n).indexOf(1));
  const ones = matrix.every((v) => v === 0 || v === 1) && matrix.reduce((s, v) => s + v, 0) === n;
  return ones && new Set(order).size === n && !order.includes(-1) ? order : undefined;
}

/** Below and above the diagonal as PyTorch's `tril_indices` and `triu_indices` list them: by rows. */
export function triangle(n: number, part: 'below' | 'above'): [number, number][] {
  const all = Array.from({ length: n * n }, (_, k): [number, number] => [Math.floor(k / n), k % n]);
  return all.filter(([i, j]) => (part === 'below' ? j < i : j > i));
}
