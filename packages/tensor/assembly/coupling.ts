/**
 * Affine couplings with a logistic scale in one pass, s = low + width·σ(r): the map itself in both
 * directions with its log-determinant, and its derivatives with the state recomputed on the way.
 * A sample holds `kept` numbers that stay as they are and behind them `size` that are moved; `rt` holds
 * r and behind it t for each sample. Samples are cut into pieces of `piece` moved numbers, but for the
 * last, and the same share of the kept ones: counted through all samples, which threads part.
 *
 * Left out: the conditioner that makes r and t.
 */
import { log4, sigmoid4 } from './math';
import { doubles, keepSome, LANES, loadSome, madd, splat, storeSome, sumInto, VECTOR } from './simd';

/** A vector, or as many floats as are left of a row, whose neighbours may be another thread's. */
// @ts-ignore: decorator
@inline
function read(whole: bool, from: usize, count: i32): v128 {
  return whole ? v128.load(from) : loadSome(from, 4, count);
}

// @ts-ignore: decorator
@inline
function write(whole: bool, to: usize, v: v128, count: i32): void {
  if (whole) v128.store(to, v);
  else storeSome(to, v, count);
}

/** Returns s. */
// @ts-ignore: decorator
@inline
function move(
  inverse: bool,
  whole: bool,
  count: i32,
  x: usize,
  r: usize,
  t: usize,
  y: usize,
  low: v128,
  width: v128,
): v128 {
  const s = madd(sigmoid4(read(whole, r, count)), width, low);
  const from = read(whole, x, count);
  const shift = read(whole, t, count);
  write(whole, y, inverse ? f32x4.div(f32x4.sub(from, shift), s) : madd(s, from, shift), count);
  return s;
}

/** Copies the kept numbers that belong to the moved ones from `begin` to `end`. */
// @ts-ignore: decorator
@inline
function keep(from: usize, to: usize, kept: i32, size: i32, begin: i32, end: i32): void {
  const first = <usize>((<i64>kept * <i64>begin) / <i64>size) << 2;
  const last = <usize>((<i64>kept * <i64>end) / <i64>size) << 2;
  memory.copy(to + first, from + first, last - first);
}

// @ts-ignore: decorator
@inline
function moveAll(
  inverse: bool,
  x: usize,
  rt: usize,
  y: usize,
  sums: usize,
  kept: i32,
  size: i32,
  piece: i32,
  low: v128,
  width: v128,
  first: i32,
  last: i32,
): void {
  const bytes = (<usize>size) << 2;
  const sample = (<usize>(kept + size)) << 2;
  const pieces = (size + piece - 1) / piece;
  for (let unit = first; unit < last; unit++) {
    const n = unit / pieces;
    const begin = (unit - n * pieces) * piece;
    const end = min(size, begin + piece);
    const start = <usize>n * sample;
    keep(x + start, y + start, kept, size, begin, end);
    let from = x + start + ((<usize>(kept + begin)) << 2);
    let to = y + start + ((<usize>(kept + begin)) << 2);
    let r = rt + 2 * <usize>n * bytes + ((<usize>begin) << 2);
    let sum: doubles = f64x2.splat(0);
    let left = end - begin;
    for (; left >= LANES; left -= LANES) {
      sum = sumInto(sum, log4(move(inverse, true, LANES, from, r, r + bytes, to, low, width)));
      from += VECTOR;
      to += VECTOR;
      r += VECTOR;
    }
    if (left > 0) {
      const s = move(inverse, false, left, from, r, r + bytes, to, low, width);
      sum = sumInto(sum, keepSome(log4(s), left));
    }
    const total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
    store<f64>(sums + ((<usize>unit) << 3), total);
  }
}

/** y = s x + t, or with `inverse` y = (x − t)/s; each piece leaves its Σ log s in `sums`. */
export function couple(
  inverse: i32,
  x: usize,
  rt: usize,
  y: usize,
  sums: usize,
  kept: i32,
  size: i32,
  piece: i32,
  low: f32,
  width: f32,
  first: i32,
  last: i32,
): void {
  const l = splat(low);
  const w = splat(width);
  if (inverse) moveAll(true, x, rt, y, sums, kept, size, piece, l, w, first, last);
  else moveAll(false, x, rt, y, sums, kept, size, piece, l, w, first, last);
}

/**
 * Of y = s x + t: x = (y − t)/s, dx = s dy, ds = dy x + dl/s, dt = dy; of the inverse, where x and y
 * have changed places: y = s x + t, dy = dx/s, ds = −(dy x + dl/s), dt = −dy. Always dr = ds·s′(r).
 */
// @ts-ignore: decorator
@inline
function back(
  inverse: bool,
  whole: bool,
  count: i32,
  y: usize,
  dy: usize,
  r: usize,
  t: usize,
  x: usize,
  dx: usize,
  dr: usize,
  dt: usize,
  dl: v128,
  low: v128,
  width: v128,
): void {
  const sigma = sigmoid4(read(whole, r, count));
  const s = madd(sigma, width, low);
  const from = read(whole, y, count);
  const shift = read(whole, t, count);
  const gradient = read(whole, dy, count);
  const slope = f32x4.mul(width, f32x4.mul(sigma, f32x4.sub(splat(1), sigma)));
  const perScale = f32x4.div(dl, s);
  if (inverse) {
    const moved = f32x4.div(gradient, s);
    write(whole, x, madd(s, from, shift), count);
    write(whole, dx, moved, count);
    write(whole, dr, f32x4.neg(f32x4.mul(slope, madd(moved, from, perScale))), count);
    write(whole, dt, f32x4.neg(moved), count);
  } else {
    const state = f32x4.div(f32x4.sub(from, shift), s);
    write(whole, x, state, count);
    write(whole, dx, f32x4.mul(s, gradient), count);
    write(whole, dr, f32x4.mul(slope, madd(gradient, state, perScale)), count);
    write(whole, dt, gradient, count);
  }
}

// @ts-ignore: decorator
@inline
function backAll(
  inverse: bool,
  y: usize,
  dy: usize,
  rt: usize,
  dlogdet: usize,
  x: usize,
  dx: usize,
  drt: usize,
  kept: i32,
  size: i32,
  piece: i32,
  low: v128,
  width: v128,
  first: i32,
  last: i32,
): void {
  const bytes = (<usize>size) << 2;
  const sample = (<usize>(kept + size)) << 2;
  const pieces = (size + piece - 1) / piece;
  for (let unit = first; unit < last; unit++) {
    const n = unit / pieces;
    const begin = (unit - n * pieces) * piece;
    const stop = min(size, begin + piece);
    const start = <usize>n * sample;
    keep(y + start, x + start, kept, size, begin, stop);
    keep(dy + start, dx + start, kept, size, begin, stop);
    const dl = dlogdet ? v128.load32_splat(dlogdet + ((<usize>n) << 2)) : splat(0);
    let at = start + ((<usize>(kept + begin)) << 2);
    let r = rt + 2 * <usize>n * bytes + ((<usize>begin) << 2);
    let dr = drt + 2 * <usize>n * bytes + ((<usize>begin) << 2);
    const end = start + ((<usize>(kept + stop)) << 2);
    for (; at + VECTOR <= end; at += VECTOR) {
      back(inverse, true, LANES, y + at, dy + at, r, r + bytes, x + at, dx + at, dr, dr + bytes, dl, low, width);
      r += VECTOR;
      dr += VECTOR;
    }
    const left = <i32>((end - at) >> 2);
    if (left > 0) {
      back(inverse, false, left, y + at, dy + at, r, r + bytes, x + at, dx + at, dr, dr + bytes, dl, low, width);
    }
  }
}

/** The derivatives; `dlogdet` is 0 where there is none. */
export function coupleBack(
  inverse: i32,
  y: usize,
  dy: usize,
  rt: usize,
  dlogdet: usize,
  x: usize,
  dx: usize,
  drt: usize,
  kept: i32,
  size: i32,
  piece: i32,
  low: f32,
  width: f32,
  first: i32,
  last: i32,
): void {
  const l = splat(low);
  const w = splat(width);
  if (inverse) backAll(true, y, dy, rt, dlogdet, x, dx, drt, kept, size, piece, l, w, first, last);
  else backAll(false, y, dy, rt, dlogdet, x, dx, drt, kept, size, piece, l, w, first, last);
}
