/**
 * A scale and a shift per channel in one pass, in both directions, and the derivatives with the sums
 * over samples and positions. Arrays are [batch, channels, positions], as rows of positions, which
 * threads part; each row's sums go to a place of its own in double precision, and are added up after.
 *
 * A row's last floats are written one by one: what follows may be another thread's.
 */
import { log4 } from './math';
import { madd } from './simd';

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
    for (; at + 16 <= end; at += 16) {
      const v = v128.load(x + at);
      v128.store(y + at, inverse ? f32x4.div(f32x4.sub(v, b), s) : madd(s, v, b));
    }
    for (; at < end; at += 4) {
      const v = v128.load32_zero(x + at);
      const moved = inverse ? f32x4.div(f32x4.sub(v, b), s) : madd(s, v, b);
      v128.store32_lane(y + at, moved, 0);
    }
  }
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

// @ts-ignore: decorator
@inline
function wide(x: v128): v128 {
  return f64x2.add(
    f64x2.promote_low_f32x4(x),
    f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 2, 3)),
  );
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
    let ds = f64x2.splat(0);
    let db = ds;
    const end = at + bytes;
    for (; at + 16 <= end; at += 16) {
      const from = v128.load(y + at);
      const gradient = v128.load(dy + at);
      if (inverse) {
        const moved = f32x4.div(gradient, s);
        v128.store(x + at, madd(s, from, b));
        v128.store(dx + at, moved);
        ds = f64x2.sub(ds, wide(f32x4.mul(moved, from)));
        db = f64x2.sub(db, wide(moved));
      } else {
        const state = f32x4.div(f32x4.sub(from, b), s);
        v128.store(x + at, state);
        v128.store(dx + at, f32x4.mul(s, gradient));
        ds = f64x2.add(ds, wide(f32x4.mul(gradient, state)));
        db = f64x2.add(db, wide(gradient));
      }
    }
    for (; at < end; at += 4) {
      const from = v128.load32_zero(y + at);
      const gradient = v128.load32_zero(dy + at);
      if (inverse) {
        const moved = f32x4.div(gradient, s);
        v128.store32_lane(x + at, madd(s, from, b), 0);
        v128.store32_lane(dx + at, moved, 0);
        ds = f64x2.sub(ds, f64x2.promote_low_f32x4(f32x4.mul(moved, from)));
        db = f64x2.sub(db, f64x2.promote_low_f32x4(moved));
      } else {
        // Lanes beside the first divide zero by the scale; they must not reach the sums.
        const state = v128.and(f32x4.div(f32x4.sub(from, b), s), i32x4(-1, 0, 0, 0));
        v128.store32_lane(x + at, state, 0);
        v128.store32_lane(dx + at, f32x4.mul(s, gradient), 0);
        ds = f64x2.add(ds, f64x2.promote_low_f32x4(f32x4.mul(gradient, state)));
        db = f64x2.add(db, f64x2.promote_low_f32x4(gradient));
      }
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
