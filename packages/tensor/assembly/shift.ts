/**
 * Convolutions by shifted sums, y[m, q] = Σ_t Σ_c w[m, c, t] x[c, (q + t − padding)/divisor]: first
 * Z[(m, t), s] = Σ_c w[m, c, t] x[c, s], a product that reads x once instead of once per tap, then
 * y[m, q] = Σ_t Z[(m, t), (q + t − padding)/divisor] over the taps for which that is whole. With few outputs,
 * copying x once per tap would cost more than all arithmetic; and where the divisor is the stride of a
 * convolution whose gradient this is, most of what is copied would be zeros.
 *
 * Z exists for a few samples, or a few depth slices of one sample, at a time, and is added to all of y that it reaches,
 * so a thread multiplies none of them twice. Where the depth is 1, the TypeScript side passes the height as depth, so that images
 * too are cut into strips.
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

/** The source's depth slices of which Z exists. */
let near: i32 = 0;
let far: i32 = 0;
/** Does a line of y begin with them, and end? */
let begins: bool = true;
let ends: bool = true;

/** Adds them to one line of y; `z` is where the source's first position would lie in Z's row of the first tap. */
// @ts-ignore: decorator
@inline
function sumLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  if (s.divisorW == 1) sumPlainLine(s, d, h, z, zRow, y, bias);
  else sumSpreadLine(s, d, h, z, zRow, y, bias);
}

/** Which of them a tap reads; −1 for none. */
// @ts-ignore: decorator
@inline
function sliceOf(s: Shift, position: i32): i32 {
  const slice = placeIn(position, s.divisorD, s.sourceD);
  return slice >= near && slice < far ? slice : -1;
}

/** Each vector of the line is kept in a register until all taps are added. */
function sumPlainLine(s: Shift, d: i32, h: i32, z: usize, zRow: usize, y: usize, bias: f32): void {
  const width = s.outputW;
  const sourceW = s.sourceW;
  const tapsH = s.tapsH;
  const tapsW = s.tapsW;
  const first = begins;
  const clamp = s.relu != 0 && ends;
  const masked = s.mask != 0 && ends;
  const mask = s.mask - s.y;
  const start = splat(bias);
  const zero = splat(0);
  for (let x = 0; x < width; x += LANES) {
    let sum = first ? start : v128.load(y);
    for (let a = 0; a < s.tapsD; a++) {
      const atD = sliceOf(s, d + a - s.paddingD);
      if (atD < 0) continue;
      for (let b = 0; b < tapsH; b++) {
        const atH = placeIn(h + b - s.paddingH, s.divisorH, s.sourceH);
        if (atH < 0) continue;
        const line = (atD * s.sourceH + atH) * sourceW;
        let row = z + ((<usize>line) << 2) + <usize>((a * tapsH + b) * tapsW) * zRow;
        let index = x - s.paddingW;
        for (let e = 0; e < tapsW; e++) {
          sum = f32x4.add(sum, loadInside(row, index, sourceW));
          row += zRow;
          index++;
        }
      }
    }
    if (clamp) sum = f32x4.pmax(sum, zero);
    if (masked) sum = v128.and(sum, f32x4.gt(v128.load(y + mask), zero));
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
  if (begins) for (let to = y; to < end; to += 4) store<f32>(to, bias);
  for (let a = 0; a < s.tapsD; a++) {
    const atD = sliceOf(s, d + a - s.paddingD);
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
  if (s.relu != 0 && ends) for (let to = y; to < end; to += 4) store<f32>(to, load<f32>(to) < 0 ? 0 : load<f32>(to));
  if (s.mask != 0 && ends) {
    const mask = s.mask - s.y;
    const zero = splat(0);
    for (let x = 0; x < width; x += LANES) {
      const v = v128.and(v128.load(y), f32x4.gt(v128.load(y + mask), zero));
      if (x + LANES <= width) v128.store(y, v);
      else storeSome(y, v, width - x);
      y += VECTOR;
    }
  }
}

/** The first source slice that an output depth reads. */
// @ts-ignore: decorator
@inline
function firstSlice(s: Shift, d: i32): i32 {
  return (max(0, d - s.paddingD) + s.divisorD - 1) / s.divisorD;
}

/** The one behind the last. */
// @ts-ignore: decorator
@inline
function endOfSlices(s: Shift, d: i32): i32 {
  const last = d + s.tapsD - 1 - s.paddingD;
  return last < 0 ? 0 : min(s.sourceD, last / s.divisorD + 1);
}

/**
 * The samples from `first` to `last`, and of each the output's depths from `low` to `high`: a thread
 * can take a part.
 */
export function shiftedProduct(
  plan: Product,
  s: Shift,
  first: i32,
  last: i32,
  low: i32,
  high: i32,
): void {
  const p = own(plan);
  const slice = s.sourceH * s.sourceW;
  const volume = s.sourceD * slice;
  const lowest = min(s.sourceD, firstSlice(s, low));
  const highest = max(lowest, endOfSlices(s, high - 1));
  for (let n = first; n < last; n += s.chunkSamples) {
    const samples = min(s.chunkSamples, last - n);
    // Once at least: there may be lines that read nothing.
    near = lowest;
    do {
      far = min(highest, near + s.chunkSlices);
      const begin = n * volume + near * slice;
      const end = (n + samples - 1) * volume + far * slice;
      p.c = ownScratch() + s.partial - ((<usize>begin) << 2);
      p.cRow = end - begin;
      if (end > begin) productOver(p, begin, end, 0, p.depth);
      for (let i = n; i < n + samples; i++) {
        for (let d = low; d < high; d++) {
          const from = max(lowest, firstSlice(s, d));
          const to = endOfSlices(s, d);
          const reads = from < to;
          // Not one of those that it reads is there.
          if (reads ? from >= far || to <= near : near > lowest) continue;
          begins = !reads || near <= from;
          ends = !reads || to <= far;
          addToDepth(p, s, i, d);
        }
      }
      near = far;
    } while (near < highest);
  }
}

/** Adds what exists of Z to all lines of a sample's depth. */
function addToDepth(p: Product, s: Shift, sample: i32, d: i32): void {
  const outputLine = (<usize>s.outputW) << 2;
  const taps = s.tapsD * s.tapsH * s.tapsW;
  const zRow = (<usize>p.cRow) << 2;
  const positions = sample * s.sourceD * s.sourceH * s.sourceW;
  for (let m = 0; m < s.rows; m++) {
    const bias = s.bias ? load<f32>(s.bias + ((<usize>m) << 2)) : <f32>0;
    const z = p.c + ((<usize>positions) << 2) + <usize>(s.backwards ? (m + 1) * taps - 1 : m * taps) * zRow;
    let y = s.y + <usize>(((sample * s.rows + m) * s.outputD + d) * s.outputH) * outputLine;
    for (let h = 0; h < s.outputH; h++) {
      sumLine(s, d, h, z, s.backwards ? 0 - zRow : zRow, y, bias);
      y += outputLine;
    }
  }
}
