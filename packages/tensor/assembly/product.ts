/**
 * The blocked loops of a product: blocks of k, then of rows (A is read where it lies, or packed once per block or
 * ahead for all parts), then of columns (B is read where it lies, or packed into one block that fits the
 * second-level cache).
 *
 * Left out: threads. `begin` and `end` bound the columns of C, whose blocks are independent, so a
 * thread can take a part. Where C has few columns and k is long, threads
 * part k instead: into parts that do not depend on how many threads there are.
 */
import { ADD, BIAS, MASK, multiply, multiplyInPlace, PANEL, PANEL_BYTES, RELU } from './gemm';
import { multiplyLines } from './inner';
import { packA, packB, packLinesAlong, panelPitch } from './pack';
import { Product } from './plan';
import { ownScratch } from './scratch';
import { loadQuad, ROWS, VECTOR } from './simd';

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

/**
 * The rows from `first` to `last` of C as the sum of `parts` arrays, `pitch` bytes apart, each of rows
 * of `width` floats, whole vectors of them. Columns of C follow each other, or go backwards: cColumn is 1 or −1.
 */
export function sumParts(
  from: usize,
  pitch: usize,
  parts: i32,
  width: i32,
  c: usize,
  cSample: i32,
  cRow: i32,
  cColumn: i32,
  cColumns: i32,
  columns: i32,
  first: i32,
  last: i32,
): void {
  const turn = (<usize>(cSample - cColumns * cColumn)) << 2;
  for (let row = first; row < last; row++) {
    let source = from + ((<usize>(row * width)) << 2);
    let to = c + ((<usize>(row * cRow)) << 2);
    let position = 0;
    for (let j = 0; j < columns; j += 4) {
      let at = source;
      let total = loadQuad(at);
      for (let part = 1; part < parts; part++) {
        at += pitch;
        total = f32x4.add(total, loadQuad(at));
      }
      source += 16;
      const count = min(4, columns - j);
      if (count == 4 && position + 4 <= cColumns) {
        if (cColumn == 1) v128.store(to, total);
        else v128.store(to - 12, v128.shuffle<f32>(total, total, 3, 2, 1, 0));
        to += (<usize>cColumn) << 4;
        position += 4;
        if (position == cColumns) {
          position = 0;
          to += turn;
        }
        continue;
      }
      for (let i = 0; i < count; i++) {
        v128.store32_lane(to, total, 0);
        total = v128.shuffle<f32>(total, total, 1, 2, 3, 0);
        to += (<usize>cColumn) << 2;
        if (++position == cColumns) {
          position = 0;
          to += turn;
        }
      }
    }
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
      if (p.direct) {
        const channel = k / p.aTaps;
        const tap = k - channel * p.aTaps;
        a = p.a + ((<usize>(row * p.aRow + channel * p.aChannel + tap * p.aTap)) << 2);
      } else if (p.packed) a = packedAt(p, row, k, depth);
      else packA(p, row, rows, k, depth, a);
      if (p.pitch) {
        packLinesAlong(p, begin, end - begin, k, depth);
        const c = p.c + ((<usize>(row * p.cRow + begin)) << 2);
        const aRow = (<usize>p.aRow) << 2;
        const cRow = (<usize>p.cRow) << 2;
        multiplyLines(a, aRow, p.packedB, p.pitch, p.line, rows, end - begin, depth, c, cRow, mode & ADD);
        continue;
      }
      if (p.inPlace) {
        multiplyInPlace(p, a, row, rows, begin, end, k, depth, mode);
        continue;
      }
      for (let column = begin; column < end; column += p.blockColumns) {
        const columns = min(p.blockColumns, end - column);
        packB(p, column, columns, k, depth);
        multiply(p, a, p.packedB, PANEL_BYTES, panelPitch(depth), row, rows, column, columns, depth, mode);
      }
    }
  }
}

export function blockBytes(columns: i32, depth: i32): usize {
  return <usize>((columns + PANEL - 1) / PANEL) * panelPitch(depth);
}

/** Rows and columns of a register tile, and bytes of a vector. */
export function rowsPerTile(): i32 {
  return ROWS;
}
export function columnsPerTile(): i32 {
  return PANEL;
}
export function vectorBytes(): usize {
  return VECTOR;
}

