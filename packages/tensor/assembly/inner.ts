/**
 * Products of few columns whose k is long, as inner products: the rows of A lie along k, and the columns of B are
 * packed as lines along it. Each number of C has four partial sums, over every fourth k of a block, which are
 * added at its end. Nothing is transposed, and hardly a column is computed for nothing: a tile of gemm.ts
 * has eight columns or 32, where a filter gradient of two channels needs 18.
 *
 * Left out: where the lines come from (pack.ts), and blocks of k that are no whole quads.
 */
import { loadQuads, madd, QUADS, splatQuad, storeQuads, VECTOR } from './simd';

/** Columns of a tile, as src/wasm/run-product.ts and gradients.ts have them too; it has two vectors of rows. */
const WIDTH: i32 = 4;

/**
 * C of so many rows and columns as the product of A, whose rows lie `aRow` bytes apart, and of B, whose columns do
 * `pitch` bytes, added to what is there or not. Each row of C has room for whole tiles; `joined` is for two vectors
 * of A's rows, where they are wide.
 */
export function multiplyLines(
  a: usize,
  aRow: usize,
  b: usize,
  pitch: usize,
  joined: usize,
  rows: i32,
  columns: i32,
  depth: i32,
  c: usize,
  cRow: usize,
  add: i32,
): void {
  while (rows > 0) {
    // Two vectors of rows; else one, twice; else one row as often as there are quads. What is there twice is so
    // in C as well, and stored once more.
    const height = rows >= 2 * QUADS ? 2 * QUADS : rows >= QUADS ? QUADS : 1;
    const step: usize = height < QUADS ? 0 : 1;
    const half: usize = height == 2 * QUADS ? QUADS : 0;
    let first = a;
    let second = a + half * aRow;
    if (QUADS > 1) {
      first = joinQuads(first, step * aRow, depth, joined);
      second = joinQuads(second, step * aRow, depth, joined + (<usize>depth / 4) * VECTOR);
    }
    let from = b;
    let to = c;
    for (let j = 0; j < columns; j += WIDTH) {
      tile(first, second, from, pitch, depth, to, step * cRow, half * cRow, add);
      from += WIDTH * pitch;
      to += WIDTH << 2;
    }
    rows -= height;
    a += <usize>height * aRow;
    c += <usize>height * cRow;
  }
}

/** Quads of rows, `pitch` bytes apart, side by side: where they are now. */
function joinQuads(from: usize, pitch: usize, depth: i32, to: usize): usize {
  const joined = to;
  for (let k = 0; k < depth; k += 4) {
    v128.store(to, loadQuads(from, pitch));
    from += 16;
    to += VECTOR;
  }
  return joined;
}

/** Two vectors of rows by WIDTH columns; rows of C are `row` bytes apart, those of the vectors `half`. */
function tile(
  first: usize,
  second: usize,
  b: usize,
  pitch: usize,
  depth: i32,
  c: usize,
  row: usize,
  half: usize,
  add: i32,
): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let t0 = s0;
  let t1 = s0;
  let t2 = s0;
  let t3 = s0;
  const end = b + ((<usize>depth) << 2);
  do {
    const x = v128.load(first);
    const y = v128.load(second);
    const b0 = splatQuad(b);
    s0 = madd(x, b0, s0);
    t0 = madd(y, b0, t0);
    const b1 = splatQuad(b + pitch);
    s1 = madd(x, b1, s1);
    t1 = madd(y, b1, t1);
    const b2 = splatQuad(b + 2 * pitch);
    s2 = madd(x, b2, s2);
    t2 = madd(y, b2, t2);
    const b3 = splatQuad(b + 3 * pitch);
    s3 = madd(x, b3, s3);
    t3 = madd(y, b3, t3);
    first += VECTOR;
    second += VECTOR;
    b += 16;
  } while (b < end);
  let s = sums(s0, s1, s2, s3);
  let t = sums(t0, t1, t2, t3);
  if (add) {
    s = f32x4.add(s, loadQuads(c, row));
    t = f32x4.add(t, loadQuads(c + half, row));
  }
  storeQuads(c, row, s);
  storeQuads(c + half, row, t);
}

/** The sums of the four vectors' quads: of their first ones in the first quad, and so on. */
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}
