/**
 * 3×3 convolutions of stride 1 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2016): 16 products of matrices for four outputs,
 * where the direct method has 36. Mathematics: docs/math/tensor/winograd.md
 *
 * The output is cut into tiles of 2×2, and rows of tiles into groups of four tiles, one vector. A
 * block of groups is read where it lies, with masks for what is outside of the source, and transformed, as many at once
 * as a vector has quads, straight into the panels that gemm.ts reads, multiplied, and transformed back, so that only
 * a block's worth of transformed numbers ever exists.
 *
 * Left out: other kernels and strides; filter gradients (gradients.ts), which transform channels as here.
 */
import { ADD, PANEL, PANEL_BYTES, tileOf } from './gemm';
import { Winograd } from './plan';
import { ownScratch } from './scratch';
import { keepPositive, loadQuad, loadQuads, loadQuadsAt, placesBehind, prefetch, quad, quadOf, QUADS } from './simd';
import { splat, storeQuads, storeSome } from './simd';

/** Columns of the output that a group covers. */
export const COVER: i32 = 8;
/**
 * Bytes for each group of a block, the same for all channels: where its lines begin in the first channel of the
 * source, where its output lies in that of the first channel, how many columns and rows of that there are, and natively a
 * line of the cache in the first channel, which is fetched of channels to come.
 */
const PLACE: usize = 32;
const OUTPUT: usize = 16;
const COLUMNS_LEFT: usize = 20;
const ROWS_LEFT: usize = 24;
const FETCHED: usize = 28;
/** Channels until that one comes of which it is fetched. */
const AHEAD: i32 = 2;
/** Lines that a group reads, and quads of each: of patches, and of gradients of outputs. */
const PATCH_LINES: i32 = 4;
const PATCH_QUADS: i32 = 3;
const TILE_LINES: i32 = 2;
const TILE_QUADS: i32 = 2;
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

/** The four columns of Bᵀd for row vectors, written as four of the 16 planes. */
// @ts-ignore: decorator
@inline
function storePlanes(to: usize, plane: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, f32x4.sub(a, c));
  v128.store(to + plane, f32x4.add(b, c));
  v128.store(to + 2 * plane, f32x4.sub(c, b));
  v128.store(to + 3 * plane, f32x4.sub(b, d));
}

/**
 * Bᵀ d B of a vector's groups: `words` say where the lines of each lie behind `source`, and masks, `apart` bytes from one to
 * the next, which numbers of them are inside of it.
 */
// @ts-ignore: decorator
@inline
function transformInput(source: usize, words: usize, inside: usize, apart: usize, to: usize, plane: usize): void {
  // Column j of all four tiles of a group: the lines' columns 2t + j.
  let at = placesBehind(source, words, PLACE);
  let v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  let w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
  let x = v128.and(loadQuadsAt(at, 2), v128.load(inside + 2 * apart));
  let e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  let o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const a0 = e;
  const a1 = o;
  const a2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const a3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = placesBehind(source, words + 4, PLACE);
  inside += <usize>PATCH_QUADS * apart;
  v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
  x = v128.and(loadQuadsAt(at, 2), v128.load(inside + 2 * apart));
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const b0 = e;
  const b1 = o;
  const b2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const b3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = placesBehind(source, words + 8, PLACE);
  inside += <usize>PATCH_QUADS * apart;
  v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
  x = v128.and(loadQuadsAt(at, 2), v128.load(inside + 2 * apart));
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const c0 = e;
  const c1 = o;
  const c2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const c3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  at = placesBehind(source, words + 12, PLACE);
  inside += <usize>PATCH_QUADS * apart;
  v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
  x = v128.and(loadQuadsAt(at, 2), v128.load(inside + 2 * apart));
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

/** A dy Aᵀ of a vector's groups, written as the 16 planes: of two lines, as `transformInput` reads four. */
// @ts-ignore: decorator
@inline
function transformGrad(source: usize, words: usize, inside: usize, apart: usize, to: usize, plane: usize): void {
  let at = placesBehind(source, words, PLACE);
  let v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  let w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
  const even = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  const odd = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  at = placesBehind(source, words + 4, PLACE);
  inside += <usize>TILE_QUADS * apart;
  v = v128.and(loadQuadsAt(at, 0), v128.load(inside));
  w = v128.and(loadQuadsAt(at, 1), v128.load(inside + apart));
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

/** Writes up to eight outputs of a group, two of each tile in turn, and zero where there is a mask that is not positive. */
// @ts-ignore: decorator
@inline
function storeRow(to: usize, even: quad, odd: quad, count: i32, mask: usize): void {
  let left = v128.shuffle<f32>(even, odd, 0, 4, 1, 5);
  let right = v128.shuffle<f32>(even, odd, 2, 6, 3, 7);
  if (mask) {
    left = keepPositive(left, loadQuad(mask));
    right = keepPositive(right, loadQuad(mask + 16));
  }
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

/** Bytes from one mask of a block's groups to the next. */
// @ts-ignore: decorator
@inline
function insideBytes(p: Winograd): usize {
  return (<usize>p.blockGroups) << 4;
}

/**
 * Says where each group of a block lies, and which numbers of its lines are inside of the source: of patches, or of
 * the gradient of an output the tiles. For whole vectors of groups there are some more, of nothing.
 */
export function findPlaces(p: Winograd, scratch: usize, patches: bool, first: i32, count: i32, perRow: i32, tileRows: i32): void {
  const lines = patches ? PATCH_LINES : TILE_LINES;
  const quads = patches ? PATCH_QUADS : TILE_QUADS;
  const apart = insideBytes(p);
  let place = scratch + p.places;
  let inside = scratch + p.insides;
  for (let at = 0; at < ((count + QUADS - 1) & -QUADS); at++) {
    const row = (first + at) / perRow;
    const group = first + at - row * perRow;
    const sample = row / tileRows;
    const top = 2 * (row - sample * tileRows);
    const begin = COVER * group - p.paddingW;
    // What has no number inside is read from where there is one.
    const start = begin > -4 * quads && begin < p.sourceW ? begin : 0;
    for (let i = 0; i < lines; i++) {
      const line = top + i - p.paddingH;
      const there = at < count && line >= 0 && line < p.sourceH;
      const slice = sample * p.channels * p.sourceH + (there ? line : 0);
      store<usize>(place + 4 * <usize>i, at < count ? (<usize>(slice * p.sourceW + start)) << 2 : 0);
      for (let k = 0; k < quads; k++) {
        const to = inside + <usize>(i * quads + k) * apart;
        for (let lane = 0; lane < 4; lane++) {
          const column = begin + 4 * k + lane;
          store<i32>(to + 4 * <usize>lane, there && column >= 0 && column < p.sourceW ? -1 : 0);
        }
      }
    }
    const output = (sample * p.rows * p.outputH + top) * p.outputW + COVER * group;
    store<usize>(place, (<usize>output) << 2, OUTPUT);
    store<i32>(place, p.outputW - COVER * group, COLUMNS_LEFT);
    store<i32>(place, p.outputH - top, ROWS_LEFT);
    if (QUADS > 1) {
      // Two groups side by side have a line in each of two rows fetched.
      const fetched = (sample * p.channels * p.sourceH + top + (group & 1)) * p.sourceW + COVER * (group & ~1);
      store<usize>(place, (<usize>fetched) << 2, FETCHED);
    }
    place += PLACE;
    inside += 16;
  }
}

/**
 * One channel of a block of groups, transformed. Its groups' quads go to `to` on, PER_PANEL at a time side by side and
 * `panel` bytes from there to the next; planes lie `plane` bytes apart.
 */
// @ts-ignore: decorator
@inline
function transform(
  patches: bool,
  p: Winograd,
  scratch: usize,
  c: i32,
  count: i32,
  to: usize,
  panel: usize,
  plane: usize,
): void {
  const source = p.source + ((<usize>(c * p.sourceH * p.sourceW)) << 2);
  const coming = source + ((<usize>(AHEAD * p.sourceH * p.sourceW)) << 2);
  const apart = insideBytes(p);
  for (let at = 0; at < count; at += QUADS) {
    const quad = to + <usize>(at / PER_PANEL) * panel + ((<usize>(at % PER_PANEL)) << 4);
    const words = scratch + p.places + <usize>at * PLACE;
    // WebAssembly cannot ask.
    if (QUADS > 1) {
      for (let q: usize = 0; q < QUADS; q++) prefetch(coming + load<usize>(words + q * PLACE, FETCHED));
    }
    const inside = scratch + p.insides + ((<usize>at) << 4);
    if (patches) transformInput(source, words, inside, apart, quad, plane);
    else transformGrad(source, words, inside, apart, quad, plane);
  }
}

/** As `transform`, of patches: compiled once for all that call it, as the next is. */
export function transformPatches(p: Winograd, scratch: usize, c: i32, count: i32, to: usize, panel: usize, plane: usize): void {
  transform(true, p, scratch, c, count, to, panel, plane);
}

/** As `transform`, of the gradient of an output. */
export function transformTiles(p: Winograd, scratch: usize, c: i32, count: i32, to: usize, panel: usize, plane: usize): void {
  transform(false, p, scratch, c, count, to, panel, plane);
}

/** One output channel of a block of groups: Aᵀ m A of all tiles with bias and activation. */
function transformBack(p: Winograd, scratch: usize, m: i32, count: i32): void {
  const width = (<usize>p.blockGroups) << 4;
  const plane = outputPlane(p);
  const line = (<usize>p.outputW) << 2;
  const bias = splat(p.bias ? load<f32>(p.bias + ((<usize>m) << 2)) : <f32>0);
  const relu = p.relu;
  const channel = p.y + ((<usize>(m * p.outputH * p.outputW)) << 2);
  const mask = p.mask ? p.mask - p.y : 0;
  const coming = mask + (<usize>p.outputH) * line;
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
      const to = channel + load<usize>(place, OUTPUT);
      const columns = load<i32>(place, COLUMNS_LEFT);
      const masked = mask ? to + mask : 0;
      // As findPlaces says: columns that are not left are a multiple of COVER, an odd one for each other group.
      if (mask) prefetch(to + coming + ((p.outputW - columns) & COVER ? line : 0));
      storeRow(to, quadOf(even, q), quadOf(odd, q), columns, masked);
      if (load<i32>(place, ROWS_LEFT) > 1) {
        storeRow(to + line, quadOf(below, q), quadOf(beside, q), columns, mask ? masked + line : 0);
      }
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
    findPlaces(p, scratch, true, group, count, perRow, tileRows);
    for (let c = 0; c < p.channels; c++) {
      const to = scratch + p.inputs + <usize>c * PANEL_BYTES;
      transformPatches(p, scratch, c, count, to, panel, inputPlane(p));
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
