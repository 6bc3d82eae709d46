/**
 * A scale and a shift per channel in one pass, in both directions, and the derivatives with the sums
 * over samples and positions. Arrays are [batch, channels, positions], as rows of positions, which
 * threads part; each row's sums go to a place of its own in double precision, and are added up after.
 *
 * A row's last floats are written by themselves: what follows may be another thread's.
 */
import { log4 } from './math';
import { doubles, keepSome, loadSome, madd, storeSome, sumInto, VECTOR } from './simd';

/** y = s x + b, or with `inverse` y = (x − b)/s, of the rows from `first` to `last`. */
export function channelAffine(
  inverse: i32,
  x: usize,
  scale: usize,
  shift: usize,
  y: usize,
  channels: i32,
  positions: i32,
  first: i32,
  last: i32,
): void {
  const bytes = (<usize>positions) << 2;
  let at = <usize>first * bytes;
  for (let row = first; row < last; row++) {
    const word = (<usize>(row % channels)) << 2;
    const s = v128.load32_splat(scale + word);
    const b = v128.load32_splat(shift + word);
    const end = at + bytes;
    for (; at + VECTOR <= end; at += VECTOR) {
      v128.store(y + at, affine(inverse, v128.load(x + at), s, b));
    }
    const rest = <i32>((end - at) >> 2);
    if (rest > 0) storeSome(y + at, affine(inverse, loadSome(x + at, 4, rest), s, b), rest);
    at = end;
  }
}

// @ts-ignore: decorator
@inline
function affine(inverse: i32, x: v128, s: v128, b: v128): v128 {
  return inverse ? f32x4.div(f32x4.sub(x, b), s) : madd(s, x, b);
}

/** factor·Σ log|s| for every sample. */
export function channelLogdet(
  scale: usize,
  logdet: usize,
  batch: i32,
  channels: i32,
  factor: f64,
): void {
  let total: f64 = 0;
  for (let c = 0; c < channels; c++) {
    const s = f32x4.abs(v128.load32_splat(scale + ((<usize>c) << 2)));
    total += <f64>f32x4.extract_lane(log4(s), 0);
  }
  for (let n = 0; n < batch; n++) store<f32>(logdet + ((<usize>n) << 2), <f32>(factor * total));
}

/**
 * Of y = s x + b: x = (y − b)/s, dx = s dy, ds = Σ dy x, db = Σ dy; of the inverse, where x and y
 * have changed places: y = s x + b, dy = dx/s, ds = −Σ dy x, db = −Σ dy. The rows from `first` to
 * `last`, each of which leaves its ds and db in `sums`.
 */
export function channelAffineBack(
  inverse: i32,
  y: usize,
  dy: usize,
  scale: usize,
  shift: usize,
  x: usize,
  dx: usize,
  sums: usize,
  channels: i32,
  positions: i32,
  first: i32,
  last: i32,
): void {
  const bytes = (<usize>positions) << 2;
  let at = <usize>first * bytes;
  for (let row = first; row < last; row++) {
    const word = (<usize>(row % channels)) << 2;
    const s = v128.load32_splat(scale + word);
    const b = v128.load32_splat(shift + word);
    let ds: doubles = f64x2.splat(0);
    let db: doubles = ds;
    const end = at + bytes;
    for (; at + VECTOR <= end; at += VECTOR) {
      const from = v128.load(y + at);
      const gradient = v128.load(dy + at);
      if (inverse) {
        const moved = f32x4.div(gradient, s);
        v128.store(x + at, madd(s, from, b));
        v128.store(dx + at, moved);
        ds = sumInto(ds, f32x4.mul(moved, from));
        db = sumInto(db, moved);
      } else {
        const state = f32x4.div(f32x4.sub(from, b), s);
        v128.store(x + at, state);
        v128.store(dx + at, f32x4.mul(s, gradient));
        ds = sumInto(ds, f32x4.mul(gradient, state));
        db = sumInto(db, gradient);
      }
    }
    const rest = <i32>((end - at) >> 2);
    if (rest > 0) {
      // Lanes beyond the rest may divide zero by zero; they must not reach the sums.
      const from = loadSome(y + at, 4, rest);
      const gradient = loadSome(dy + at, 4, rest);
      if (inverse) {
        const moved = keepSome(f32x4.div(gradient, s), rest);
        storeSome(x + at, madd(s, from, b), rest);
        storeSome(dx + at, moved, rest);
        ds = sumInto(ds, f32x4.mul(moved, from));
        db = sumInto(db, moved);
      } else {
        const state = keepSome(f32x4.div(f32x4.sub(from, b), s), rest);
        storeSome(x + at, state, rest);
        storeSome(dx + at, f32x4.mul(s, gradient), rest);
        ds = sumInto(ds, f32x4.mul(gradient, state));
        db = sumInto(db, gradient);
      }
      at = end;
    }
    if (inverse) {
      ds = f64x2.neg(ds);
      db = f64x2.neg(db);
    }
    const place = sums + ((<usize>row) << 4);
    store<f64>(place, f64x2.extract_lane(ds, 0) + f64x2.extract_lane(ds, 1));
    store<f64>(place, f64x2.extract_lane(db, 0) + f64x2.extract_lane(db, 1), 8);
  }
}

/** ds and db per channel from those of the rows, and from the log-determinant factor·Σ log|s|. */
export function channelGradients(
  sums: usize,
  scale: usize,
  dlogdet: usize,
  dscale: usize,
  dshift: usize,
  batch: i32,
  channels: i32,
  factor: f64,
): void {
  let weight: f64 = 0;
  if (dlogdet) {
    for (let n = 0; n < batch; n++) weight += factor * <f64>load<f32>(dlogdet + ((<usize>n) << 2));
  }
  for (let c = 0; c < channels; c++) {
    const word = (<usize>c) << 2;
    let ds = weight / <f64>load<f32>(scale + word);
    let db: f64 = 0;
    for (let n = 0; n < batch; n++) {
      const place = sums + ((<usize>(n * channels + c)) << 4);
      ds += load<f64>(place);
      db += load<f64>(place, 8);
    }
    store<f32>(dscale + word, <f32>ds);
    store<f32>(dshift + word, <f32>db);
  }
}
