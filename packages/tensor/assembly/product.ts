/**
 * The blocked loops of a product: blocks of k, then of rows (A is packed once per block, or ahead for
 * all parts), then of columns (B is packed into one block that fits the second-level cache).
 *
 * Left out: threads. `begin` and `end` bound the columns of C, whose blocks are independent, so a
 * thread can take a part. Where C has few columns and k is long, threads
 * part k instead: into parts that do not depend on how many threads there are.
 */
import { ADD, BIAS, MASK, multiply, RELU } from './gemm';
import { packA, packB, panelPitch } from './pack';
import { Product } from './plan';
import { ownScratch } from './scratch';
import { ROWS } from './simd';

/** Columns `begin` to `end` of C. */
export function product(plan: Product, begin: i32, end: i32): void {
  productOver(own(plan), begin, end, 0, plan.depth);
}

/** A thread's copy of a plan, at the start of its scratch, with addresses in place of offsets. */
export function own(plan: Product): Product {
  const scratch = ownScratch();
  const p = changetype<Product>(scratch);
  // It is there already when this thread took a part of the same job before.
  if (p.serial == plan.serial) return p;
  memory.copy(scratch, changetype<usize>(plan), offsetof<Product>());
  p.packedA += scratch;
  p.packedB += scratch;
  p.line += scratch;
  p.tile += scratch;
  if (p.packs) {
    p.packed = p.packedA;
    packAhead(p, 0, p.rows);
  }
  return p;
}

/** Packs the rows from `first` to `last` of A, whole panels. */
export function packAhead(p: Product, first: i32, last: i32): void {
  for (let k = 0; k < p.depth; k += p.blockDepth) {
    const depth = min(p.blockDepth, p.depth - k);
    packA(p, first, last - first, k, depth, packedAt(p, first, k, depth));
  }
}

/** Where the panel that begins with a row lies in a block of k of an A that was packed ahead. */
// @ts-ignore: decorator
@inline
function packedAt(p: Product, row: i32, k: i32, depth: i32): usize {
  return p.packed + ((<usize>(p.rows * k + row * depth)) << 2);
}

/**
 * The sums over the parts of k from `first` to `last`, `part` entries each (the last may be
 * shorter), every one into a C of its own, `pitch` bytes apart.
 */
export function deepProduct(plan: Product, part: i32, pitch: usize, first: i32, last: i32): void {
  const p = own(plan);
  for (let i = first; i < last; i++) {
    p.c = plan.c + <usize>i * pitch;
    productOver(p, 0, p.columns, i * part, min(p.depth, (i + 1) * part));
  }
}

/** to = Σ of `parts` arrays, `pitch` bytes apart, one after the other. */
export function sumParts(from: usize, pitch: usize, parts: i32, to: usize, size: i32): void {
  for (let i = 0; i < size; i += 4) {
    let at = from;
    let total = v128.load(at);
    for (let part = 1; part < parts; part++) {
      at += pitch;
      total = f32x4.add(total, v128.load(at));
    }
    v128.store(to, total);
    from += 16;
    to += 16;
  }
}

/** All of C's columns `begin` to `end`, summed over k from `near` to `far`. */
export function productOver(p: Product, begin: i32, end: i32, near: i32, far: i32): void {
  for (let k = near; k < far; k += p.blockDepth) {
    const depth = min(p.blockDepth, far - k);
    let mode = k == near ? 0 : ADD;
    if (k + depth == p.depth) {
      if (p.bias) mode |= BIAS;
      if (p.relu) mode |= RELU;
      if (p.mask) mode |= MASK;
    }
    for (let row = 0; row < p.rows; row += p.blockRows) {
      const rows = min(p.blockRows, p.rows - row);
      let a = p.packedA;
      if (p.packed) a = packedAt(p, row, k, depth);
      else packA(p, row, rows, k, depth, a);
      for (let column = begin; column < end; column += p.blockColumns) {
        const columns = min(p.blockColumns, end - column);
        packB(p, column, columns, k, depth);
        multiply(p, a, p.packedB, panelPitch(depth), row, rows, column, columns, depth, mode);
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

