/**
 * Convolutions by shifted sums, y[m, q] = Σ_t Σ_c w[m, c, t] x[c, (q + t − padding)/divisor]: first
 * Z[(m, t), s] = Σ_c w[m, c, t] x[c, s], a product that reads x once instead of once per tap, then
 * y[m, q] = Σ_t Z[(m, t), (q + t − padding)/divisor] over the taps for which that is whole. With few outputs,
 * copying x once per tap would cost more than all arithmetic; and where the divisor is the stride of a
 * convolution whose gradient this is, most of what is copied would be zeros.
 *
 * Z exists for a few samples, or a few depth slices of one sample, at a time. Where the depth is 1,
 * the TypeScript side passes the height as depth, so that images too are cut into strips.
 */
import { Product, Shift } from './plan';
import { own, productOver } from './product';
import { ownScratch } from './scratch';
import { LANES, loadBetween, splat, storeSome, VECTOR } from './simd';

/** Adds `count` numbers to every `step`-th of a line. */
// @ts-ignore: decorator
@inline
function spreadLine(to: usize, step: i32, from: usize, count: i32): void {
  const pitch = (<usize>step) << 2;
  for (let i = 0; i < count; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += pitch;
    from += 4;
  }
}

/** Where a position lies in a source that is `divisor` times as coarse; −1 where it does not. */
// @ts-ignore: decorator
@inline
function placeIn(position: i32, divisor: i32, size: i32): i32 {
  if (position < 0) return -1;
  if (divisor == 1) return position < size ? position : -1;
  const place = position / divisor;
  return place < size && place * divisor == position ? place : -1;
}

/** One line of y; `z` is where the source's first position would lie in Z's row of the first tap. */
// @ts-ignore: decorator
@inline
function sumLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  if (s.divisorW == 1) sumPlainLine(s, d, h, z, zRow, y, bias);
  else sumSpreadLine(s, d, h, z, zRow, y, bias);
}

/** Each vector of the line is kept in a register until all taps are added. */
function sumPlainLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  const width = s.outputW;
  const sourceW = s.sourceW;
  const tapsH = s.tapsH;
  const tapsW = s.tapsW;
  const start = splat(bias);
  const zero = splat(0);
  for (let x = 0; x < width; x += LANES) {
    let sum = start;
    for (let a = 0; a < s.tapsD; a++) {
      const atD = placeIn(d + a - s.paddingD, s.divisorD, s.sourceD);
      if (atD < 0) continue;
      for (let b = 0; b < tapsH; b++) {
        const atH = placeIn(h + b - s.paddingH, s.divisorH, s.sourceH);
        if (atH < 0) continue;
        const line = (atD * s.sourceH + atH) * sourceW;
        let row = z + ((<usize>line) << 2) + <usize>((a * tapsH + b) * tapsW) * zRow;
        let first = x - s.paddingW;
        for (let e = 0; e < tapsW; e++) {
          sum = f32x4.add(sum, loadInside(row, first, sourceW));
          row += zRow;
          first++;
        }
      }
    }
    if (s.relu) sum = f32x4.pmax(sum, zero);
    if (x + LANES <= width) v128.store(y, sum);
    else storeSome(y, sum, width - x);
    y += VECTOR;
  }
}

/** The floats of a line of `size` from the one of an index on, zero where there are none. */
// @ts-ignore: decorator
@inline
function loadInside(line: usize, index: i32, size: i32): v128 {
  return index >= 0 && index + LANES <= size
    ? v128.load(line + ((<usize>index) << 2))
    : loadBetween(line, index, size);
}

function sumSpreadLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  const width = s.outputW;
  const step = s.divisorW;
  const end = y + ((<usize>width) << 2);
  for (let to = y; to < end; to += 4) store<f32>(to, bias);
  for (let a = 0; a < s.tapsD; a++) {
    const atD = placeIn(d + a - s.paddingD, s.divisorD, s.sourceD);
    if (atD < 0) continue;
    for (let b = 0; b < s.tapsH; b++) {
      const atH = placeIn(h + b - s.paddingH, s.divisorH, s.sourceH);
      if (atH < 0) continue;
      const line = (atD * s.sourceH + atH) * s.sourceW;
      let row = z + <usize>((a * s.tapsH + b) * s.tapsW) * zRow;
      for (let e = 0; e < s.tapsW; e++) {
        // y's position under the source's first: behind or before the start of the line.
        const start = s.paddingW - e;
        const skipped = start < 0 ? (step - 1 - start) / step : 0;
        const low = start + skipped * step;
        const count = low < width ? min(s.sourceW - skipped, (width - 1 - low) / step + 1) : 0;
        const to = y + ((<usize>low) << 2);
        spreadLine(to, step, row + ((<usize>(line + skipped)) << 2), count);
        row += zRow;
      }
    }
  }
  if (s.relu) for (let to = y; to < end; to += 4) store<f32>(to, load<f32>(to) < 0 ? 0 : load<f32>(to));
}

/**
 * The samples from `first` to `last`, and of each the output's depths from `near` to `far`: a thread
 * can take a part.
 */
export function shiftedProduct(
  plan: Product,
  s: Shift,
  first: i32,
  last: i32,
  near: i32,
  far: i32,
): void {
  const p = own(plan);
  const partial = ownScratch() + s.partial;
  const slice = s.sourceH * s.sourceW;
  const volume = s.sourceD * slice;
  const outputLine = (<usize>s.outputW) << 2;
  const taps = s.tapsD * s.tapsH * s.tapsW;
  for (let n = first; n < last; n += s.chunkSamples) {
    const samples = min(s.chunkSamples, last - n);
    for (let d = near; d < far; d += s.chunkDepth) {
      const depth = min(s.chunkDepth, far - d);
      const nearest = max(0, d - s.paddingD);
      const low = min(s.sourceD, (nearest + s.divisorD - 1) / s.divisorD);
      const farthest = d + depth - 2 + s.tapsD - s.paddingD;
      const high = farthest < 0 ? low : max(low, min(s.sourceD, farthest / s.divisorD + 1));
      const begin = n * volume + low * slice;
      const end = (n + samples - 1) * volume + high * slice;
      p.c = partial - ((<usize>begin) << 2);
      p.cRow = end - begin;
      if (end > begin) productOver(p, begin, end, 0, p.depth);
      const zRow = (<usize>p.cRow) << 2;
      for (let i = n; i < n + samples; i++) {
        for (let m = 0; m < s.rows; m++) {
          const bias = s.bias ? load<f32>(s.bias + ((<usize>m) << 2)) : <f32>0;
          const z = p.c + ((<usize>(i * volume)) << 2) + <usize>(s.backwards ? (m + 1) * taps - 1 : m * taps) * zRow;
          let y =
            s.y + <usize>(((i * s.rows + m) * s.outputD + d) * s.outputH) * outputLine;
          for (let a = d; a < d + depth; a++) {
            for (let h = 0; h < s.outputH; h++) {
              sumLine(s, a, h, z, s.backwards ? 0 - zRow : zRow, y, bias);
              y += outputLine;
            }
          }
        }
      }
    }
  }
}
