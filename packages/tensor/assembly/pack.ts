/**
 * Copies blocks of A and B into the panels that gemm.ts reads, with convolution's taps, padding and
 * strides unrolled on the way (implicit im2col: only one block of the unrolled image ever exists).
 *
 * Left out: arithmetic. A line may be written up to a vector past its end, and read as far past the
 * end of its source; whoever lays out the buffers leaves room.
 */
import { copyExactly } from './layout';
import { PANEL, PANEL_BYTES } from './gemm';
import { Product } from './plan';
import { LANES, loadQuads, prefetch, ROW_VECTORS, storeQuads, VECTOR } from './simd';

/** Bytes between panels of B; an odd number of cache lines, so that panels do not share sets. */
export function panelPitch(depth: i32): usize {
  return ((((<usize>((depth + 3) & ~3) * PANEL_BYTES + 63) >> 6) | 1) << 6);
}

// @ts-ignore: decorator
@inline
function copyFloats(to: usize, from: usize, count: i32): void {
  for (let i = 0; i < count; i += LANES) {
    v128.store(to, v128.load(from));
    to += VECTOR;
    from += VECTOR;
  }
}

/** Copies a row of a panel of B. */
// @ts-ignore: decorator
@inline
function copyPanelRow(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  v128.store(to, v128.load(from, VECTOR), VECTOR);
  if (ROW_VECTORS > 2) {
    v128.store(to, v128.load(from, 2 * VECTOR), 2 * VECTOR);
    v128.store(to, v128.load(from, 3 * VECTOR), 3 * VECTOR);
  }
}

// @ts-ignore: decorator
@inline
function zeroFloats(to: usize, count: i32): void {
  const zero = f32x4.splat(0);
  for (let i = 0; i < count; i += LANES) {
    v128.store(to, zero);
    to += VECTOR;
  }
}

/** Where one axis reads: a source index, or −1 for padding and for the gaps of a stride. */
// @ts-ignore: decorator
@inline
function locate(numerator: i32, divisor: i32, size: i32): i32 {
  if (numerator < 0) return -1;
  let index = numerator;
  if (divisor != 1) {
    index = numerator / divisor;
    if (index * divisor != numerator) return -1;
  }
  return index < size ? index : -1;
}

/** Widest shift along a line whose reads past either end of an array stay within its guard. */
const NEAR: i32 = 8;

/**
 * As `gather`, where lines of the result are as long as those of the source and are only shifted:
 * line follows line on both sides, so all of a plane is one copy, and its edges are cleared after.
 */
function gatherShifted(
  p: Product,
  channel: i32,
  shiftD: i32,
  shiftH: i32,
  shift: i32,
  sample: i32,
  d: i32,
  h: i32,
  w: i32,
  count: i32,
  to: usize,
): void {
  const width = p.columnsW;
  while (count > 0) {
    const begin = h * width + w;
    const run = min(p.columnsH * width - begin, count);
    const atD = d + shiftD;
    // The positions of this plane whose lines exist in the source.
    const exists = atD >= 0 && atD < p.sourceD;
    const low = exists ? min(run, max(0, -shiftH * width - begin)) : run;
    const high = exists ? max(low, min(run, (p.sourceH - shiftH) * width - begin)) : run;
    zeroFloats(to, low);
    if (high > low) {
      const plane = ((sample * p.channels + channel) * p.sourceD + atD) * p.sourceH;
      const first = (plane + shiftH) * width + shift + begin + low;
      copyFloats(to + ((<usize>low) << 2), p.source + ((<usize>first) << 2), high - low);
      // Columns that a shift takes from the line before, or behind.
      const edge = shift < 0 ? 0 : width - shift;
      for (let i = 0; i < abs(shift); i++) {
        let at = edge + i - w;
        if (at < 0) at += width;
        for (; at < high; at += width) store<f32>(to + ((<usize>at) << 2), 0);
      }
    }
    zeroFloats(to + ((<usize>high) << 2), run - high);
    to += (<usize>run) << 2;
    count -= run;
    w = 0;
    h = 0;
    if (++d == p.columnsD) {
      d = 0;
      sample++;
    }
  }
}

/** A row of the virtual matrix, and a column in it, along each of their axes. */
let channel: i32 = 0;
let tapD: i32 = 0;
let tapH: i32 = 0;
let tapW: i32 = 0;
let startSample: i32 = 0;
let startD: i32 = 0;
let startH: i32 = 0;
let startW: i32 = 0;

/** Puts them at a row and a column. */
function seek(p: Product, row: i32, column: i32): void {
  tapW = row % p.tapsW;
  row /= p.tapsW;
  tapH = row % p.tapsH;
  row /= p.tapsH;
  tapD = row % p.tapsD;
  channel = row / p.tapsD;
  startW = column % p.columnsW;
  column /= p.columnsW;
  startH = column % p.columnsH;
  column /= p.columnsH;
  startD = column % p.columnsD;
  startSample = column / p.columnsD;
}

/** Copies `count` entries from there, and goes on to the next row. */
// @ts-ignore: decorator
@inline
function gatherNext(p: Product, count: i32, to: usize): void {
  gather(p, count, to);
  if (++tapW < p.tapsW) return;
  tapW = 0;
  if (++tapH < p.tapsH) return;
  tapH = 0;
  if (++tapD < p.tapsD) return;
  tapD = 0;
  channel++;
}

function gather(p: Product, count: i32, to: usize): void {
  const shift = tapW - p.paddingW;
  const width = p.columnsW;
  let w = startW;
  let h = startH;
  let d = startD;
  let sample = startSample;

  const sourceW = p.sourceW;
  const multiplier = p.multiplierW;
  const divisor = p.divisorW;
  const unit = multiplier == 1 && divisor == 1;
  const shiftH = tapH - p.paddingH;
  const shiftD = tapD - p.paddingD;
  if (unit && width == sourceW && abs(shift) <= min(NEAR, width)) {
    const steps = p.multiplierD * p.multiplierH * p.divisorD * p.divisorH;
    if (steps == 1) {
      gatherShifted(p, channel, shiftD, shiftH, shift, sample, d, h, w, count, to);
      return;
    }
  }
  while (count > 0) {
    const run = min(width - w, count);
    const atD = locate(d * p.multiplierD + shiftD, p.divisorD, p.sourceD);
    const atH = locate(h * p.multiplierH + shiftH, p.divisorH, p.sourceH);
    if (atD < 0 || atH < 0) {
      zeroFloats(to, run);
    } else {
      const index = (((sample * p.channels + channel) * p.sourceD + atD) * p.sourceH + atH) * sourceW;
      const line = p.source + ((<usize>index) << 2);
      if (unit) {
        const first = w + shift;
        const low = min(run, max(0, -first));
        const high = max(low, min(run, sourceW - first));
        zeroFloats(to, low);
        copyFloats(to + ((<usize>low) << 2), line + ((<usize>(first + low)) << 2), high - low);
        zeroFloats(to + ((<usize>high) << 2), run - high);
      } else {
        let numerator = w * multiplier + shift;
        for (let i = 0; i < run; i++) {
          const at = locate(numerator, divisor, sourceW);
          store<f32>(to + ((<usize>i) << 2), at < 0 ? 0 : load<f32>(line + ((<usize>at) << 2)));
          numerator += multiplier;
        }
      }
    }
    to += (<usize>run) << 2;
    count -= run;
    w = 0;
    if (++h == p.columnsH) {
      h = 0;
      if (++d == p.columnsD) {
        d = 0;
        sample++;
      }
    }
  }
}

/** Columns of C are rows of the virtual matrix, which stay lines along k. */
export function packLinesAlong(p: Product, column: i32, columns: i32, k: i32, depth: i32): void {
  let to = p.packedB;
  seek(p, column, k);
  for (let j = 0; j < columns; j++) {
    gatherNext(p, depth, to);
    to += p.pitch;
  }
}

/**
 * Four lines of four floats become four lines `pitch` bytes apart; of quads side by side each for itself, to
 * places `apart` bytes apart.
 */
// @ts-ignore: decorator
@inline
function transpose4(a: v128, b: v128, c: v128, d: v128, to: usize, pitch: usize, apart: usize): void {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  storeQuads(to, apart, v128.shuffle<f32>(ab0, cd0, 0, 1, 4, 5));
  storeQuads(to + pitch, apart, v128.shuffle<f32>(ab0, cd0, 2, 3, 6, 7));
  storeQuads(to + 2 * pitch, apart, v128.shuffle<f32>(ab1, cd1, 0, 1, 4, 5));
  storeQuads(to + 3 * pitch, apart, v128.shuffle<f32>(ab1, cd1, 2, 3, 6, 7));
}

/**
 * As packStraight, where the rows of the virtual matrix are lines of the source as they lie: with one tap, and
 * columns that follow each other as the source's do.
 */
function packLinesOfB(p: Product, column: i32, columns: i32, k: i32, depth: i32): void {
  const pitch = panelPitch(depth);
  const line = p.sourceW;
  const lineBytes = (<usize>line) << 2;
  let at = 0;
  while (at < columns) {
    const sample = (column + at) / line;
    const position = column + at - sample * line;
    const run = min(columns - at, line - position);
    let from = p.source + ((<usize>((sample * p.channels + k) * line + position)) << 2);
    for (let i = 0; i < depth; i++) {
      let source = from;
      let panel = p.packedB + <usize>(at / PANEL) * pitch + <usize>i * PANEL_BYTES;
      let place = at % PANEL;
      let left = run;
      while (left > 0) {
        const to = panel + ((<usize>place) << 2);
        if (place == 0 && left >= PANEL) {
          copyPanelRow(to, source);
          left -= PANEL;
          source += PANEL_BYTES;
        } else {
          const count = min(left, PANEL - place);
          copyExactly(to, source, count);
          left -= count;
          source += (<usize>count) << 2;
          place = 0;
        }
        panel += pitch;
      }
      from += lineBytes;
    }
    at += run;
  }
}

/** Columns of C are columns of the virtual matrix. */
function packStraight(p: Product, column: i32, columns: i32, k: i32, depth: i32): void {
  const pitch = panelPitch(depth);
  const padded = (columns + PANEL - 1) / PANEL * PANEL;
  seek(p, k, column);
  for (let i = 0; i < depth; i++) {
    gatherNext(p, columns, p.line);
    zeroFloats(p.line + ((<usize>columns) << 2), padded - columns);
    let from = p.line;
    let to = p.packedB + <usize>i * PANEL_BYTES;
    for (let j = 0; j < padded; j += PANEL) {
      copyPanelRow(to, from);
      from += PANEL_BYTES;
      to += pitch;
    }
  }
}

/** Columns of C are rows of the virtual matrix: a panel's worth at a time is gathered and transposed. */
function packTransposed(p: Product, column: i32, columns: i32, k: i32, depth: i32): void {
  const pitch = panelPitch(depth);
  const line = (<usize>(((depth + 3) & ~3) + 4)) << 2;
  seek(p, column, k);
  for (let j = 0; j < columns; j += PANEL) {
    // What lies behind the last column is computed with, but nobody reads what comes of it.
    const width = min(PANEL, columns - j);
    for (let r = 0; r < width; r++) gatherNext(p, depth, p.line + <usize>r * line);
    let to = p.packedB + <usize>(j / PANEL) * pitch;
    let from = p.line;
    const other = <usize>LANES * line;
    for (let i = 0; i < depth; i += 4) {
      transposeLines(from, line, to);
      if (width > LANES) transposeLines(from + other, line, to + VECTOR);
      if (ROW_VECTORS > 2) {
        if (width > 2 * LANES) transposeLines(from + 2 * other, line, to + 2 * VECTOR);
        if (width > 3 * LANES) transposeLines(from + 3 * other, line, to + 3 * VECTOR);
      }
      from += 16;
      to += 4 * PANEL_BYTES;
    }
  }
}

/** Four floats of LANES lines, `line` bytes apart, become four vectors in a panel. */
// @ts-ignore: decorator
@inline
function transposeLines(from: usize, line: usize, to: usize): void {
  const pitch = 4 * line;
  transpose4(
    loadQuads(from, pitch),
    loadQuads(from + line, pitch),
    loadQuads(from + 2 * line, pitch),
    loadQuads(from + 3 * line, pitch),
    to,
    PANEL_BYTES,
    16,
  );
}

export function packB(p: Product, column: i32, columns: i32, k: i32, depth: i32): void {
  if (p.transposed) packTransposed(p, column, columns, k, depth);
  else if (p.lines) packLinesOfB(p, column, columns, k, depth);
  else packStraight(p, column, columns, k, depth);
}

/** `count` entries of k of `rows` rows of A into [k][rows]; a row's entries are neighbours. */
function packLines(from: usize, rowBytes: usize, rows: i32, count: i32, to: usize): void {
  const pitch = (<usize>rows) << 2;
  if (rows < 4 || count < LANES) {
    for (let r = 0; r < rows; r++) {
      const source = from + <usize>r * rowBytes;
      const target = to + ((<usize>r) << 2);
      for (let i: usize = 0; i < <usize>count; i++) store<f32>(target + i * pitch, load<f32>(source + (i << 2)));
    }
    return;
  }
  // The last four rows, and the last vector of k, may be packed in part for the second time.
  for (let r = 0; r < rows; r += 4) {
    const first = min(r, rows - 4);
    const source = from + <usize>first * rowBytes;
    const target = to + ((<usize>first) << 2);
    for (let i = 0; i < count; i += LANES) {
      const k = <usize>min(i, count - LANES);
      const at = source + (k << 2);
      transpose4(
        v128.load(at),
        v128.load(at + rowBytes),
        v128.load(at + 2 * rowBytes),
        v128.load(at + 3 * rowBytes),
        target + k * pitch,
        pitch,
        4 * pitch,
      );
    }
  }
}

function packStrided(from: usize, rowBytes: usize, rows: i32, step: usize, count: i32, to: usize): void {
  if (rowBytes == 4) {
    for (let i = 0; i < count; i++) {
      copyExactly(to, from, rows);
      to += (<usize>rows) << 2;
      from += step;
    }
    return;
  }
  for (let i = 0; i < count; i++) {
    let source = from;
    for (let r = 0; r < rows; r++) {
      store<f32>(to, load<f32>(source));
      source += rowBytes;
      to += 4;
    }
    from += step;
  }
}

/** Panels that are written in turn. */
const MANY_PANELS: i32 = 16;
/** Entries until one that is fetched is packed. */
const AHEAD: usize = 8;

/** Rows that are neighbours, natively: an entry's numbers of some panels, with later ones fetched, before the next's. */
function packNeighbours(p: Product, from: usize, rows: i32, step: usize, first: i32, last: i32, depth: i32, to: usize): void {
  const height = p.panelRows;
  const panel = (<usize>(height * depth)) << 2;
  const many = MANY_PANELS * height;
  for (let i = 0; i < rows; i += many) {
    const end = min(rows, i + many);
    let source = from + ((<usize>i) << 2);
    for (let k = first; k < last; k++) {
      let target = to + ((<usize>(i * depth + k * height)) << 2);
      let at = source;
      let row = i;
      for (; row + height <= end; row += height) {
        prefetch(at + AHEAD * step);
        copyExactly(target, at, height);
        at += (<usize>height) << 2;
        target += panel;
      }
      // The last panel may be lower, and so are its entries.
      if (row < end) copyExactly(to + ((<usize>(row * depth + k * (end - row))) << 2), at, end - row);
      source += step;
    }
  }
}

/** Rows that are pairs of a row and a tap: those of one row side by side, as its taps lie. */
function packPairs(p: Product, row: i32, rows: i32, k: i32, count: i32, to: usize): void {
  const step = (<usize>p.aTap) << 2;
  const pitch = (<usize>rows) << 2;
  let done = 0;
  while (done < rows) {
    const pair = (row + done) / p.aRowTaps;
    const tap = row + done - pair * p.aRowTaps;
    const run = p.aRowTap == 1 ? min(p.aRowTaps - tap, rows - done) : 1;
    let source = p.a + ((<usize>(pair * p.aRow + tap * p.aRowTap + k * p.aTap)) << 2);
    let target = to + ((<usize>done) << 2);
    for (let i = 0; i < count; i++) {
      copyExactly(target, source, run);
      source += step;
      target += pitch;
    }
    done += run;
  }
}

/** Rows row0 .. +rows of A, entries k .. +depth, into panels: channel by channel, as weights lie in memory. */
export function packA(p: Product, row0: i32, rows: i32, k: i32, depth: i32, to: usize): void {
  const rowBytes = (<usize>p.aRow) << 2;
  const step = (<usize>p.aTap) << 2;
  let channel = k / p.aTaps;
  let tap = k - channel * p.aTaps;
  let done = 0;
  while (done < depth) {
    const run = p.aRowTaps ? depth : min(p.aTaps - tap, depth - done);
    const start = p.a + ((<usize>(row0 * p.aRow + channel * p.aChannel + tap * p.aTap)) << 2);
    if (LANES > 4 && p.aRow == 1 && p.aRowTaps == 0) {
      packNeighbours(p, start, rows, step, done, done + run, depth, to);
    } else {
      for (let i = 0; i < rows; i += p.panelRows) {
        const height = min(p.panelRows, rows - i);
        const target = to + ((<usize>(i * depth + done * height)) << 2);
        const from = start + <usize>i * rowBytes;
        if (p.aRowTaps) packPairs(p, row0 + i, height, k, run, target);
        else if (p.aTap == 1) packLines(from, rowBytes, height, run, target);
        else packStrided(from, rowBytes, height, step, run, target);
      }
    }
    done += run;
    tap = 0;
    channel++;
  }
}
