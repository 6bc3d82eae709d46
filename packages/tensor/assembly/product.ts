/**
 * The blocked loops of a product: blocks of k, then of rows (A is packed once per block), then of
 * columns (B is packed into one block that fits the second-level cache).
 *
 * Left out: threads. `begin` and `end` bound the columns of C, whose blocks are independent, so a
 * thread with scratch of its own can take a part.
 */
import { ADD, BIAS, multiply, RELU } from './gemm';
import { packA, packB, panelPitch } from './pack';
import { Product } from './plan';
import { ROWS } from './simd';

export function product(p: Product, begin: i32, end: i32): void {
  for (let k = 0; k < p.depth; k += p.blockDepth) {
    const depth = min(p.blockDepth, p.depth - k);
    let mode = k == 0 ? 0 : ADD;
    if (k + depth == p.depth) {
      if (p.bias) mode |= BIAS;
      if (p.relu) mode |= RELU;
    }
    for (let row = 0; row < p.rows; row += p.blockRows) {
      const rows = min(p.blockRows, p.rows - row);
      packA(p, row, rows, k, depth);
      for (let column = begin; column < end; column += p.blockColumns) {
        const columns = min(p.blockColumns, end - column);
        packB(p, column, columns, k, depth);
        multiply(p, p.packedA, p.packedB, panelPitch(depth), row, rows, column, columns, depth, mode);
      }
    }
  }
}

export function blockBytes(columns: i32, depth: i32): usize {
  return <usize>((columns + 7) >> 3) * panelPitch(depth);
}

export function rowsPerTile(): i32 {
  return ROWS;
}

