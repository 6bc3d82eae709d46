/**
 * 3×3 convolutions of stride 1 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2016): 16 products of matrices for four outputs,
 * where the direct method has 36. Mathematics: docs/math/tensor/winograd.md
 *
 * The output is cut into tiles of 2×2, and rows of tiles into groups of four tiles, one vector. A
 * block of groups is transformed, as many at once as a vector has quads, straight into the panels that gemm.ts
 * reads, multiplied, and transformed back, so that only a block's worth of transformed numbers ever exists.
 *
 * Left out: other kernels and strides; filter gradients (gradients.ts), which transform channels as here.
 */
import { ADD, PANEL, PANEL_BYTES, tileOf } from './gemm';
import { copyExactly } from './layout';
import { Winograd } from './plan';
import { ownScratch } from './scratch';
import { loadQuads, loadQuadsAt, movePlaces, places, placesBehind, quad, quadOf, QUADS } from './simd';
import { splat, storeQuads, storeSome } from './simd';

/** Columns of the output that a group covers, and bytes that each takes of a line's room. */
export const COVER: i32 = 8;
const LINE: usize = 48;
/**
 * Words for each group of a block, the same for all channels: where it begins in the room for lines, where its
 * output lies in that of the first channel, and how many columns and rows of that there are.
 */
const PLACE: usize = 16;
/** Groups to a panel. */
const PER_PANEL: i32 = PANEL / 4;

/** A row of G g Gᵀ of some filters, each quad's to a place of its own, from one of G g. */
// @ts-ignore: decorator
@inline
function storeWeights(
  to: usize,
  left: usize,
  right: usize,
  plane: usize,
  apart: usize,
  a: v128,
  b: v128,
  c: v128,
): void {
  const half = splat(0.5);
  const ends = f32x4.add(a, c);
  storeQuads(to + left, apart, a);
  storeQuads(to + plane, apart, f32x4.mul(half, f32x4.add(ends, b)));
  storeQuads(to + 2 * plane, apart, f32x4.mul(half, f32x4.sub(ends, b)));
  storeQuads(to + right, apart, c);
}

/**
 * The transformed weights G g Gᵀ of four rows of as many channels as a vector has quads. A row's filters begin at its
 * address, `channel` bytes apart; what is transformed goes to planes, a row of each channel `apart` bytes from the
 * one before. Taps that count backwards turn g around, which exchanges the first and the last row and column.
 */
function transformFilters(
  row0: usize,
  row1: usize,
  row2: usize,
  row3: usize,
  channel: usize,
  backwards: bool,
  to: usize,
  apart: usize,
  plane: usize,
): void {
  let a = loadQuads(row0, channel);
  let b = loadQuads(row1, channel);
  let c = loadQuads(row2, channel);
  let d = loadQuads(row3, channel);
  let ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  let cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const g0 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  const g1 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  ab = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  cd = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  const g2 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  const g3 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  a = loadQuads(row0 + 16, channel);
  b = loadQuads(row1 + 16, channel);
  c = loadQuads(row2 + 16, channel);
  d = loadQuads(row3 + 16, channel);
  ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const g4 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  const g5 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  ab = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  cd = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  const g6 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  const g7 = v128.shuffle<f32>(ab, cd, 2, 3, 6, 7);
  ab = v128.shuffle<f32>(loadQuads(row0 + 32, channel), loadQuads(row1 + 32, channel), 0, 4, 1, 5);
  cd = v128.shuffle<f32>(loadQuads(row2 + 32, channel), loadQuads(row3 + 32, channel), 0, 4, 1, 5);
  const g8 = v128.shuffle<f32>(ab, cd, 0, 1, 4, 5);
  const half = splat(0.5);
  const end0 = f32x4.add(g0, g6);
  const end1 = f32x4.add(g1, g7);
  const end2 = f32x4.add(g2, g8);
  const four = 4 * plane;
  const left: usize = backwards ? 3 * plane : 0;
  const right: usize = backwards ? 0 : 3 * plane;
  storeWeights(to + 4 * left, left, right, plane, apart, g0, g1, g2);
  storeWeights(
    to + four,
    left,
    right,
    plane,
    apart,
    f32x4.mul(half, f32x4.add(end0, g3)),
    f32x4.mul(half, f32x4.add(end1, g4)),
    f32x4.mul(half, f32x4.add(end2, g5)),
  );
  storeWeights(
    to + 2 * four,
    left,
    right,
    plane,
    apart,
    f32x4.mul(half, f32x4.sub(end0, g3)),
    f32x4.mul(half, f32x4.sub(end1, g4)),
    f32x4.mul(half, f32x4.sub(end2, g5)),
  );
  storeWeights(to + 4 * right, left, right, plane, apart, g6, g7, g8);
}

/**
 * Transforms the weights of rows `first` to `last`, multiples of a panel, into panels for gemm.ts. The last rows of
 * a panel, and the last channels, may be transformed in part for the second time. Of a panel of fewer than four rows,
 * which is the last, what is written behind a channel's is the next one's, or behind the plane.
 */
export function winogradFilters(p: Winograd, first: i32, last: i32): void {
  const backwards = p.aTap < 0;
  const plane = filterPlane(p);
  const rowBytes = (<usize>p.aRow) << 2;
  const channel = (<usize>p.aChannel) << 2;
  const start = backwards ? p.a - 32 : p.a;
  for (let row = first; row < last; row += p.panelRows) {
    const height = min(p.panelRows, last - row);
    const panel = p.filters + ((<usize>(row * p.channels)) << 2);
    for (let c = 0; c < p.channels; c += QUADS) {
      const at = min(c, p.channels - QUADS);
      for (let r = 0; r < height; r += 4) {
        const top = max(0, min(r, height - 4));
        const from = start + <usize>(row + top) * rowBytes + <usize>at * channel;
        transformFilters(
          from,
          from + <usize>min(1, height - 1) * rowBytes,
          from + <usize>min(2, height - 1) * rowBytes,
          from + <usize>min(3, height - 1) * rowBytes,
          channel,
          backwards,
          panel + ((<usize>(at * height + top)) << 2),
          (<usize>height) << 2,
          plane,
        );
      }
    }
  }
}

/** One line of `count` floats from column `start` on, zero outside of the source. */
// @ts-ignore: decorator
@inline
function copyLine(p: Winograd, plane: usize, row: i32, start: i32, count: i32, to: usize): void {
  const inside = row >= 0 && row < p.sourceH;
  const low = inside ? min(count, max(0, -start)) : count;
  const high = inside ? max(low, min(count, p.sourceW - start)) : count;
  for (let i = 0; i < low; i++) store<f32>(to + ((<usize>i) << 2), 0);
  const line = plane + ((<usize>(row * p.sourceW + start)) << 2);
  copyExactly(to + ((<usize>low) << 2), line + ((<usize>low) << 2), high - low);
  for (let i = high; i < count; i++) store<f32>(to + ((<usize>i) << 2), 0);
}

/** The four columns of Bᵀd for row vectors, written as four of the 16 planes. */
// @ts-ignore: decorator
@inline
function storePlanes(to: usize, plane: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, f32x4.sub(a, c));
  v128.store(to + plane, f32x4.add(b, c));
  v128.store(to + 2 * plane, f32x4.sub(c, b));
  v128.store(to + 3 * plane, f32x4.sub(b, d));
}

/** Bᵀ d B of a vector's groups, whose lines start at their places, `line` bytes apart. */
// @ts-ignore: decorator
@inline
function transformInput(at: places, line: usize, to: usize, plane: usize): void {
  // Column j of all four tiles of a group: the lines' columns 2t + j.
  let v = loadQuadsAt(at, 0);
  let w = loadQuadsAt(at, 1);
  let x = loadQuadsAt(at, 2);
  let e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  let o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const a0 = e;
  const a1 = o;
  const a2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const a3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = movePlaces(at, line);
  v = loadQuadsAt(at, 0);
  w = loadQuadsAt(at, 1);
  x = loadQuadsAt(at, 2);
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const b0 = e;
  const b1 = o;
  const b2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const b3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = movePlaces(at, line);
  v = loadQuadsAt(at, 0);
  w = loadQuadsAt(at, 1);
  x = loadQuadsAt(at, 2);
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const c0 = e;
  const c1 = o;
  const c2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const c3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = movePlaces(at, line);
  v = loadQuadsAt(at, 0);
  w = loadQuadsAt(at, 1);
  x = loadQuadsAt(at, 2);
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const d0 = e;
  const d1 = o;
  const d2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const d3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  const four = 4 * plane;
  storePlanes(to, plane, f32x4.sub(a0, c0), f32x4.sub(a1, c1), f32x4.sub(a2, c2), f32x4.sub(a3, c3));
  to += four;
  storePlanes(to, plane, f32x4.add(b0, c0), f32x4.add(b1, c1), f32x4.add(b2, c2), f32x4.add(b3, c3));
  to += four;
  storePlanes(to, plane, f32x4.sub(c0, b0), f32x4.sub(c1, b1), f32x4.sub(c2, b2), f32x4.sub(c3, b3));
  to += four;
  storePlanes(to, plane, f32x4.sub(b0, d0), f32x4.sub(b1, d1), f32x4.sub(b2, d2), f32x4.sub(b3, d3));
}

/** A dy Aᵀ of a vector's groups, whose two lines start at their places, written as the 16 planes. */
// @ts-ignore: decorator
@inline
function transformGrad(at: places, line: usize, to: usize, plane: usize): void {
  let v = loadQuadsAt(at, 0);
  let w = loadQuadsAt(at, 1);
  const even = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  const odd = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  at = movePlaces(at, line);
  v = loadQuadsAt(at, 0);
  w = loadQuadsAt(at, 1);
  const below = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  const beside = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const four = 4 * plane;
  storeSpread(to, plane, even, odd);
  to += four;
  storeSpread(to, plane, f32x4.add(even, below), f32x4.add(odd, beside));
  to += four;
  storeSpread(to, plane, f32x4.sub(even, below), f32x4.sub(odd, beside));
  to += four;
  storeSpread(to, plane, f32x4.neg(below), f32x4.neg(beside));
}

/** The four columns of A of two, as four of the 16 planes. */
// @ts-ignore: decorator
@inline
function storeSpread(to: usize, plane: usize, even: v128, odd: v128): void {
  v128.store(to, even);
  v128.store(to + plane, f32x4.add(even, odd));
  v128.store(to + 2 * plane, f32x4.sub(even, odd));
  v128.store(to + 3 * plane, f32x4.neg(odd));
}

// @ts-ignore: decorator
@inline
function activate(v: v128, bias: v128, relu: i32): v128 {
  const y = f32x4.add(v, bias);
  return relu ? f32x4.pmax(y, f32x4.splat(0)) : y;
}

/** Writes up to eight outputs of a group: two of each tile in turn. */
// @ts-ignore: decorator
@inline
function storeRow(to: usize, even: quad, odd: quad, count: i32): void {
  const left = v128.shuffle<f32>(even, odd, 0, 4, 1, 5);
  const right = v128.shuffle<f32>(even, odd, 2, 6, 3, 7);
  if (count >= 4) v128.store(to, left);
  if (count >= COVER) v128.store(to, right, 16);
  // What is left of a quad goes one by one: behind it is the next line.
  else if (count > 4) storeSome(to + 16, right, count - 4);
  else if (count < 4) storeSome(to, left, count);
}

/** Bytes of a plane of transformed numbers: one line of the cache more, so that planes do not share sets. */
// @ts-ignore: decorator
@inline
function filterPlane(p: Winograd): usize {
  return ((<usize>(p.rows * p.channels)) << 2) + 64;
}

// @ts-ignore: decorator
@inline
function inputPlane(p: Winograd): usize {
  return ((<usize>(p.channels * p.blockGroups)) << 4) + 64;
}

// @ts-ignore: decorator
@inline
function outputPlane(p: Winograd): usize {
  return ((<usize>(p.rows * p.blockGroups)) << 4) + 64;
}

/** Says where each group of a block lies, and, for whole vectors of them, some beyond. */
export function findPlaces(p: Winograd, scratch: usize, first: i32, count: i32, perRow: i32, tileRows: i32): void {
  let place = scratch + p.places;
  let at = 0;
  while (at < count) {
    const row = (first + at) / perRow;
    const group = first + at - row * perRow;
    const run = min(perRow - group, count - at);
    const sample = row / tileRows;
    const top = 2 * (row - sample * tileRows);
    const output = (sample * p.rows * p.outputH + top) * p.outputW + COVER * group;
    for (let i = 0; i < run; i++) {
      store<usize>(place, <usize>at * LINE + ((<usize>(COVER * i)) << 2));
      store<usize>(place, (<usize>(output + COVER * i)) << 2, 4);
      store<i32>(place, p.outputW - COVER * (group + i), 8);
      store<i32>(place, p.outputH - top, 12);
      place += PLACE;
    }
    at += run;
  }
  for (; at % QUADS; at++) {
    store<usize>(place, 0);
    place += PLACE;
  }
}

/**
 * One channel of a block of groups, transformed: its patches, or of the gradient of an output the tiles. Its groups'
 * quads go to `to` on, PER_PANEL at a time side by side and `panel` bytes from there to the next; planes lie `plane`
 * bytes apart.
 */
// @ts-ignore: decorator
@inline
function transform(
  patches: bool,
  p: Winograd,
  scratch: usize,
  c: i32,
  first: i32,
  count: i32,
  perRow: i32,
  tileRows: i32,
  to: usize,
  panel: usize,
  plane: usize,
): void {
  const line = LINE * <usize>p.blockGroups;
  const slice = p.sourceH * p.sourceW;
  const lines = scratch + p.lines;
  let place = 0;
  let at = 0;
  while (at < count) {
    const row = (first + at) / perRow;
    const group = first + at - row * perRow;
    const run = min(perRow - group, count - at);
    const sample = row / tileRows;
    const top = 2 * (row - sample * tileRows) - p.paddingH;
    const source = p.source + ((<usize>((sample * p.channels + c) * slice)) << 2);
    const height = patches ? 4 : 2;
    const width = COVER * run + (patches ? 4 : 0);
    for (let i = 0; i < height; i++) {
      const begin = lines + <usize>i * line + <usize>at * LINE;
      copyLine(p, source, top + i, COVER * group - p.paddingW, width, begin);
    }
    at += run;
    // As soon as they are there, so that one waits for memory while the other computes.
    const ready = at < count ? at - QUADS : count - 1;
    for (; place <= ready; place += QUADS) {
      const quad = to + <usize>(place / PER_PANEL) * panel + ((<usize>(place % PER_PANEL)) << 4);
      const from = placesBehind(lines, scratch + p.places + <usize>place * PLACE, PLACE);
      if (patches) transformInput(from, line, quad, plane);
      else transformGrad(from, line, quad, plane);
    }
  }
}

/** As `transform`, of patches: compiled once for all that call it, as the next is. */
export function transformPatches(
  p: Winograd,
  scratch: usize,
  c: i32,
  first: i32,
  count: i32,
  perRow: i32,
  tileRows: i32,
  to: usize,
  panel: usize,
  plane: usize,
): void {
  transform(true, p, scratch, c, first, count, perRow, tileRows, to, panel, plane);
}

/** As `transform`, of the gradient of an output. */
export function transformTiles(
  p: Winograd,
  scratch: usize,
  c: i32,
  first: i32,
  count: i32,
  perRow: i32,
  tileRows: i32,
  to: usize,
  panel: usize,
  plane: usize,
): void {
  transform(false, p, scratch, c, first, count, perRow, tileRows, to, panel, plane);
}

/** One output channel of a block of groups: Aᵀ m A of all tiles with bias and activation. */
function transformBack(p: Winograd, scratch: usize, m: i32, count: i32): void {
  const width = (<usize>p.blockGroups) << 4;
  const plane = outputPlane(p);
  const line = (<usize>p.outputW) << 2;
  const bias = splat(p.bias ? load<f32>(p.bias + ((<usize>m) << 2)) : <f32>0);
  const relu = p.relu;
  const channel = p.y + ((<usize>(m * p.outputH * p.outputW)) << 2);
  let place = scratch + p.places;
  for (let at = 0; at < count; at += QUADS) {
    let from = scratch + p.outputs + <usize>m * width + ((<usize>at) << 4);
    let m0 = v128.load(from);
    let m1 = v128.load(from + plane);
    let m2 = v128.load(from + 2 * plane);
    let m3 = v128.load(from + 3 * plane);
    const even0 = f32x4.add(f32x4.add(m0, m1), m2);
    const odd0 = f32x4.sub(f32x4.sub(m1, m2), m3);
    from += 4 * plane;
    m0 = v128.load(from);
    m1 = v128.load(from + plane);
    m2 = v128.load(from + 2 * plane);
    m3 = v128.load(from + 3 * plane);
    const even1 = f32x4.add(f32x4.add(m0, m1), m2);
    const odd1 = f32x4.sub(f32x4.sub(m1, m2), m3);
    from += 4 * plane;
    m0 = v128.load(from);
    m1 = v128.load(from + plane);
    m2 = v128.load(from + 2 * plane);
    m3 = v128.load(from + 3 * plane);
    const even2 = f32x4.add(f32x4.add(m0, m1), m2);
    const odd2 = f32x4.sub(f32x4.sub(m1, m2), m3);
    from += 4 * plane;
    m0 = v128.load(from);
    m1 = v128.load(from + plane);
    m2 = v128.load(from + 2 * plane);
    m3 = v128.load(from + 3 * plane);
    const even3 = f32x4.add(f32x4.add(m0, m1), m2);
    const odd3 = f32x4.sub(f32x4.sub(m1, m2), m3);
    const even = activate(f32x4.add(f32x4.add(even0, even1), even2), bias, relu);
    const odd = activate(f32x4.add(f32x4.add(odd0, odd1), odd2), bias, relu);
    const below = activate(f32x4.sub(f32x4.sub(even1, even2), even3), bias, relu);
    const beside = activate(f32x4.sub(f32x4.sub(odd1, odd2), odd3), bias, relu);
    for (let q = 0; q < min(QUADS, count - at); q++) {
      const to = channel + load<usize>(place, 4);
      const columns = load<i32>(place, 8);
      storeRow(to, quadOf(even, q), quadOf(odd, q), columns);
      if (load<i32>(place, 12) > 1) storeRow(to + line, quadOf(below, q), quadOf(beside, q), columns);
      place += PLACE;
    }
  }
}

/** The rows of tiles from `first` to `last`, counted through all samples. */
export function winograd(p: Winograd, first: i32, last: i32): void {
  const scratch = ownScratch();
  const perRow = (p.outputW + COVER - 1) / COVER;
  const tileRows = (p.outputH + 1) >> 1;
  const width = (<usize>p.blockGroups) << 4;
  const panel = <usize>p.channels * PANEL_BYTES;
  const end = last * perRow;
  for (let group = first * perRow; group < end; group += p.blockGroups) {
    const count = min(p.blockGroups, end - group);
    findPlaces(p, scratch, group, count, perRow, tileRows);
    for (let c = 0; c < p.channels; c++) {
      const to = scratch + p.inputs + <usize>c * PANEL_BYTES;
      transformPatches(p, scratch, c, group, count, perRow, tileRows, to, panel, inputPlane(p));
    }
    for (let plane: usize = 0; plane < 16; plane++) {
      const a = p.filters + plane * filterPlane(p);
      let b = scratch + p.inputs + plane * inputPlane(p);
      const c = scratch + p.outputs + plane * outputPlane(p);
      for (let at = 0; at < count; at += PER_PANEL) {
        const to = c + ((<usize>at) << 4);
        for (let k = 0; k < p.channels; k += p.blockChannels) {
          const depth = min(p.blockChannels, p.channels - k);
          const part = b + <usize>k * PANEL_BYTES;
          const mode = k == 0 ? 0 : ADD;
          for (let row = 0; row < p.rows; row += p.panelRows) {
            const height = min(p.panelRows, p.rows - row);
            const weights = a + ((<usize>(row * p.channels + k * height)) << 2);
            tileOf(height, weights, part, PANEL_BYTES, depth, to + <usize>row * width, width, mode, 0, 0);
          }
        }
        b += panel;
      }
    }
    for (let m = 0; m < p.rows; m++) transformBack(p, scratch, m, count);
  }
}
