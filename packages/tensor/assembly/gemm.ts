/**
 * The register-tiled product that all matrix products and convolutions end in: up to ROWS rows by
 * PANEL columns of C, two vectors or four, held in registers, A read by broadcast and B by vector. Both come from
 * packed panels, or from where they lie.
 *
 * Packed A: panels of `panelRows` rows (the last may be lower), each as [depth][rows].
 * Packed B: panels of PANEL columns, each as [depth][PANEL], `pitch` bytes apart.
 *
 * Left out: where the numbers come from (pack.ts) and how the loops are blocked (product.ts).
 */
import { LANES, loadSome, madd, prefetch, ROW_VECTORS, ROWS, storeSome, VECTOR } from './simd';
import { Product } from './plan';

/** Columns of a register tile, and bytes of its row. */
export const PANEL: i32 = ROW_VECTORS * LANES;
export const PANEL_BYTES: usize = ROW_VECTORS * VECTOR;

/**
 * Bits of a tile's write: add to what is there, add a bias per row, clip below at zero, be zero where
 * a mask is not positive.
 */
export const ADD: i32 = 1;
export const BIAS: i32 = 2;
export const RELU: i32 = 4;
export const MASK: i32 = 8;

/** Writes a row of a tile, by pairs of vectors. */
// @ts-ignore: decorator
@inline
function finish(
  vectors: i32,
  c: usize,
  v0: v128,
  v1: v128,
  v2: v128,
  v3: v128,
  mode: i32,
  bias: usize,
  mask: usize,
): void {
  finishPair(c, v0, v1, mode, bias, mask);
  if (vectors > 2) finishPair(c + 2 * VECTOR, v2, v3, mode, bias, mask);
}

// @ts-ignore: decorator
@inline
function finishPair(c: usize, left: v128, right: v128, mode: i32, bias: usize, mask: usize): void {
  if (mode & ADD) {
    left = f32x4.add(left, v128.load(c));
    right = f32x4.add(right, v128.load(c, VECTOR));
  }
  if (mode & BIAS) {
    const b = v128.load32_splat(bias);
    left = f32x4.add(left, b);
    right = f32x4.add(right, b);
  }
  if (mode & RELU) {
    // pmax(x, 0) is x unless x < 0, so it keeps NaN, and is one instruction where max is seven.
    const zero = f32x4.splat(0);
    left = f32x4.pmax(left, zero);
    right = f32x4.pmax(right, zero);
  }
  if (mode & MASK) {
    const zero = f32x4.splat(0);
    left = v128.and(left, f32x4.gt(v128.load(c + mask), zero));
    right = v128.and(right, f32x4.gt(v128.load(c + mask, VECTOR), zero));
  }
  v128.store(c, left);
  v128.store(c, right, VECTOR);
}

/** Has a row of a tile's mask fetched, while the tile is multiplied. */
// @ts-ignore: decorator
@inline
function fetchRow(mask: usize): void {
  prefetch(mask);
  if (PANEL_BYTES > 64) prefetch(mask + 64);
}

/**
 * One tile. `rows`, `vectors` and `packed` are constants at each call, so the branches on them vanish; `step` is the
 * distance in bytes from one row of B to the next, and `mask` that from C to its mask. Where A is not packed, its rows
 * are `aRow` bytes apart and their entries `aStep`.
 */
// @ts-ignore: decorator
@inline
function tile(
  rows: i32,
  vectors: i32,
  packed: bool,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  step: usize,
  depth: i32,
  c: usize,
  row: usize,
  mode: i32,
  bias: usize,
  mask: usize,
): void {
  if (mode & MASK) {
    for (let r = 0; r < rows; r++) fetchRow(c + <usize>r * row + mask);
  }
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c02 = c00;
  let c03 = c00;
  let c10 = c00;
  let c11 = c00;
  let c12 = c00;
  let c13 = c00;
  let c20 = c00;
  let c21 = c00;
  let c22 = c00;
  let c23 = c00;
  let c30 = c00;
  let c31 = c00;
  let c32 = c00;
  let c33 = c00;
  let c40 = c00;
  let c41 = c00;
  let c42 = c00;
  let c43 = c00;
  let c50 = c00;
  let c51 = c00;
  let c52 = c00;
  let c53 = c00;
  do {
    const b0 = v128.load(b);
    const b1 = v128.load(b, VECTOR);
    const b2 = vectors > 2 ? v128.load(b, 2 * VECTOR) : b0;
    const b3 = vectors > 2 ? v128.load(b, 3 * VECTOR) : b1;
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00);
    c01 = madd(a0, b1, c01);
    if (vectors > 2) {
      c02 = madd(a0, b2, c02);
      c03 = madd(a0, b3, c03);
    }
    if (rows > 1) {
      const a1 = packed ? v128.load32_splat(a, 4) : v128.load32_splat(a + aRow);
      c10 = madd(a1, b0, c10);
      c11 = madd(a1, b1, c11);
      if (vectors > 2) {
        c12 = madd(a1, b2, c12);
        c13 = madd(a1, b3, c13);
      }
    }
    if (rows > 2) {
      const a2 = packed ? v128.load32_splat(a, 8) : v128.load32_splat(a + 2 * aRow);
      c20 = madd(a2, b0, c20);
      c21 = madd(a2, b1, c21);
      if (vectors > 2) {
        c22 = madd(a2, b2, c22);
        c23 = madd(a2, b3, c23);
      }
    }
    if (rows > 3) {
      const a3 = packed ? v128.load32_splat(a, 12) : v128.load32_splat(a + 3 * aRow);
      c30 = madd(a3, b0, c30);
      c31 = madd(a3, b1, c31);
      if (vectors > 2) {
        c32 = madd(a3, b2, c32);
        c33 = madd(a3, b3, c33);
      }
    }
    if (rows > 4) {
      const a4 = packed ? v128.load32_splat(a, 16) : v128.load32_splat(a + 4 * aRow);
      c40 = madd(a4, b0, c40);
      c41 = madd(a4, b1, c41);
      if (vectors > 2) {
        c42 = madd(a4, b2, c42);
        c43 = madd(a4, b3, c43);
      }
    }
    if (rows > 5) {
      const a5 = packed ? v128.load32_splat(a, 20) : v128.load32_splat(a + 5 * aRow);
      c50 = madd(a5, b0, c50);
      c51 = madd(a5, b1, c51);
      if (vectors > 2) {
        c52 = madd(a5, b2, c52);
        c53 = madd(a5, b3, c53);
      }
    }
    a += packed ? (<usize>rows) << 2 : aStep;
    b += step;
  } while (--depth);
  finish(vectors, c, c00, c01, c02, c03, mode, bias, mask);
  if (rows > 1) finish(vectors, c + row, c10, c11, c12, c13, mode, bias + 4, mask);
  if (rows > 2) finish(vectors, c + 2 * row, c20, c21, c22, c23, mode, bias + 8, mask);
  if (rows > 3) finish(vectors, c + 3 * row, c30, c31, c32, c33, mode, bias + 12, mask);
  if (rows > 4) finish(vectors, c + 4 * row, c40, c41, c42, c43, mode, bias + 16, mask);
  if (rows > 5) finish(vectors, c + 5 * row, c50, c51, c52, c53, mode, bias + 20, mask);
}

// Functions of their own, so that each gets its own register allocation.
function tile1(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(1, 2, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function tile2(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(2, 2, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function tile3(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(3, 2, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function tile4(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(4, 2, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function tile5(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(5, 2, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function tile6(a: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(6, ROW_VECTORS, true, a, 0, 0, b, step, depth, c, row, mode, bias, mask);
}
function direct1(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(1, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}
function direct2(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(2, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}
function direct3(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(3, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}
function direct4(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(4, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}
function direct5(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(5, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}
function direct6(a: usize, aRow: usize, aStep: usize, b: usize, step: usize, depth: i32, c: usize, row: usize, mode: i32, bias: usize, mask: usize): void {
  tile(6, 2, false, a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}

/** One tile of up to ROWS rows, of packed A. */
export function tileOf(
  rows: i32,
  a: usize,
  b: usize,
  step: usize,
  depth: i32,
  c: usize,
  row: usize,
  mode: i32,
  bias: usize,
  mask: usize,
): void {
  if (ROWS == 6 && rows == 6) {
    tile6(a, b, step, depth, c, row, mode, bias, mask);
    return;
  }
  // Lower ones are two vectors wide, so that the build for wide vectors differs in little.
  for (let v = 0; v < ROW_VECTORS; v += 2) {
    if (rows == 5) tile5(a, b, step, depth, c, row, mode, bias, mask);
    else if (rows == 4) tile4(a, b, step, depth, c, row, mode, bias, mask);
    else if (rows == 3) tile3(a, b, step, depth, c, row, mode, bias, mask);
    else if (rows == 2) tile2(a, b, step, depth, c, row, mode, bias, mask);
    else tile1(a, b, step, depth, c, row, mode, bias, mask);
    b += 2 * VECTOR;
    c += 2 * VECTOR;
  }
}

/** One tile of A as it lies, its rows and their entries so many bytes apart. */
function directTileOf(
  rows: i32,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  step: usize,
  depth: i32,
  c: usize,
  row: usize,
  mode: i32,
  bias: usize,
  mask: usize,
): void {
  if (ROWS == 6 && rows == 6) direct6(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
  else if (rows == 5) direct5(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
  else if (rows == 4) direct4(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
  else if (rows == 3) direct3(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
  else if (rows == 2) direct2(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
  else direct1(a, aRow, aStep, b, step, depth, c, row, mode, bias, mask);
}

/** Fewer than PANEL neighbouring columns of a tile, from C to the tile or back, masked or not. */
// @ts-ignore: decorator
@inline
function exchangeRun(
  back: bool,
  masked: bool,
  tile: usize,
  c: usize,
  row: usize,
  mask: usize,
  rows: i32,
  columns: i32,
): void {
  const zero = f32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    let from = back ? tile : c;
    let to = back ? c : tile;
    let rest = columns;
    while (rest >= LANES) {
      let v = v128.load(from);
      if (masked) v = v128.and(v, f32x4.gt(v128.load(to + mask), zero));
      v128.store(to, v);
      from += VECTOR;
      to += VECTOR;
      rest -= LANES;
    }
    if (rest > 0) {
      let v = loadSome(from, 4, rest);
      if (masked) v = v128.and(v, f32x4.gt(loadSome(to + mask, 4, rest), zero));
      storeSome(to, v, rest);
    }
    tile += PANEL_BYTES;
    c += row;
  }
}

/** Copies a tile's columns from C, where they are not PANEL neighbours, or back to it, masked or not. */
// @ts-ignore: decorator
@inline
function exchange(
  back: bool,
  masked: bool,
  p: Product,
  c: usize,
  rows: i32,
  at: i32,
  columns: i32,
): void {
  const row = (<usize>p.cRow) << 2;
  const mask = p.mask - p.c;
  // From the last position of one sample to the first of the next.
  const turn = (<usize>(p.cSample - p.cColumns)) << 2;
  let tile = p.tile;
  while (columns > 0) {
    const run = min(columns, p.cColumns - at);
    // A run is shorter than PANEL here: whole ones were written directly.
    exchangeRun(back, masked, tile, c, row, mask, rows, run);
    tile += (<usize>run) << 2;
    c += (<usize>run) << 2;
    columns -= run;
    at += run;
    if (at == p.cColumns) {
      at = 0;
      c += turn;
    }
  }
}

/** Bytes of panels of B that a panel of A meets in turn, one at least: what the first-level cache holds beside it. */
const GROUP: usize = 1 << 14;

/**
 * Columns of C from panels of B, `pitch` bytes apart, whose rows lie `step` bytes apart. Panels go in groups that
 * stay in the first-level cache while the panels of A pass by, so that each row of C is written, and its
 * mask read, some lines of the cache at a time.
 */
export function multiply(
  p: Product,
  a: usize,
  b: usize,
  step: usize,
  pitch: usize,
  row0: i32,
  rows: i32,
  column: i32,
  columns: i32,
  depth: i32,
  mode: i32,
): void {
  const mask = p.mask - p.c;
  const rowBytes = (<usize>p.cRow) << 2;
  const turn = (<usize>(p.cSample - p.cColumns)) << 2;
  const aRow = (<usize>p.aRow) << 2;
  const aStep = (<usize>p.aTap) << 2;
  const most = max(1, <i32>(GROUP / (<usize>depth * PANEL_BYTES))) * PANEL;
  while (columns > 0) {
    const group = min(most, columns);
    const sample = column / p.cColumns;
    const start = column - sample * p.cColumns;
    let line = p.c + ((<usize>(sample * p.cSample + row0 * p.cRow + start)) << 2);
    let panel = a;
    for (let i = 0; i < rows; i += p.panelRows) {
      const height = min(p.panelRows, rows - i);
      const bias = p.bias + ((<usize>(row0 + i)) << 2);
      let c = line;
      let at = start;
      let from = b;
      for (let left = group; left > 0; left -= PANEL) {
        const width = min(PANEL, left);
        const direct = (width == PANEL || p.padded) && at + PANEL <= p.cColumns;
        if (!direct && mode & ADD) exchange(false, false, p, c, height, at, width);
        const to = direct ? c : p.tile;
        const toRow = direct ? rowBytes : PANEL_BYTES;
        const how = direct ? mode : mode & ~MASK;
        // Only wide vectors read A so (src/wasm/product.ts), and a page need not load what WebAssembly does not run.
        if (LANES > 4 && p.direct) directTileOf(height, panel, aRow, aStep, from, step, depth, to, toRow, how, bias, mask);
        else tileOf(height, panel, from, step, depth, to, toRow, how, bias, mask);
        if (!direct) {
          if (mode & MASK) exchange(true, true, p, c, height, at, width);
          else exchange(true, false, p, c, height, at, width);
        }
        from += pitch;
        c += PANEL_BYTES;
        at += PANEL;
        for (; at >= p.cColumns; at -= p.cColumns) c += turn;
      }
      line += <usize>height * rowBytes;
      panel += p.direct ? <usize>height * aRow : (<usize>(height * depth)) << 2;
    }
    b += <usize>(group / PANEL) * pitch;
    column += group;
    columns -= group;
  }
}

/** C[row0 .. +rows, begin .. end] from a block of A and B where it lies, lines of channels. */
export function multiplyInPlace(
  p: Product,
  a: usize,
  row0: i32,
  rows: i32,
  begin: i32,
  end: i32,
  k: i32,
  depth: i32,
  mode: i32,
): void {
  const line = p.sourceW;
  const step = (<usize>line) << 2;
  let sample = begin / line;
  let at = begin - sample * line;
  while (begin < end) {
    const columns = min(line - at, end - begin);
    const b = p.source + ((<usize>((sample * p.channels + k) * line + at)) << 2);
    multiply(p, a, b, step, PANEL_BYTES, row0, rows, begin, columns, depth, mode);
    begin += columns;
    at = 0;
    sample++;
  }
}
