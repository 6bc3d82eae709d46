/**
 * 3×3 convolutions of stride 1 by Winograd's minimal filtering F(2×2, 3×3) (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2016): 16 products of matrices for four outputs,
 * where the direct method has 36. Mathematics: docs/math/tensor/winograd.md
 *
 * The output is cut into tiles of 2×2, and rows of tiles into groups of four tiles, one vector. A
 * block of groups is transformed, as many at once as a vector has quads, straight into the panels that gemm.ts reads, multiplied, and
 * transformed back, so that only a block's worth of transformed numbers ever exists.
 *
 * Left out: other kernels and strides, and filter gradients, which the direct method serves as well.
 */
import { PANEL, PANEL_BYTES, tileOf } from './gemm';
import { Winograd } from './plan';
import { ownScratch } from './scratch';
import { loadQuad, loadQuads, quad, quadOf, QUADS, splat, storeSome } from './simd';

/** Columns of the output that a group covers, and bytes between those of its input and the next one's. */
const COVER: i32 = 8;
const LINE: usize = 48;
/** Groups to a panel. */
const PER_PANEL: i32 = PANEL / 4;

/** One filter's 16 transformed weights G g Gᵀ, `pitch` bytes apart. */
// @ts-ignore: decorator
@inline
function transformFilter(from: usize, step: usize, to: usize, pitch: usize): void {
  for (let row = 0; row < 4; row++) {
    let a: f32 = 0;
    let b: f32 = 0;
    let c: f32 = 0;
    // A row of G g: g₀, (g₀ + g₁ + g₂)/2, (g₀ − g₁ + g₂)/2, g₂, for each of the three columns.
    for (let column: usize = 0; column < 3; column++) {
      const at = from + column * step;
      const g0 = load<f32>(at);
      const g1 = load<f32>(at + 3 * step);
      const g2 = load<f32>(at + 6 * step);
      let value = g0;
      if (row == 1) value = <f32>0.5 * (g0 + g1 + g2);
      else if (row == 2) value = <f32>0.5 * (g0 - g1 + g2);
      else if (row == 3) value = g2;
      if (column == 0) a = value;
      else if (column == 1) b = value;
      else c = value;
    }
    const at = to + <usize>(4 * row) * pitch;
    store<f32>(at, a);
    store<f32>(at + pitch, <f32>0.5 * (a + b + c));
    store<f32>(at + 2 * pitch, <f32>0.5 * (a - b + c));
    store<f32>(at + 3 * pitch, c);
  }
}

/** Transforms the weights of rows `first` to `last`, multiples of a panel, into panels for gemm.ts. */
export function winogradFilters(p: Winograd, first: i32, last: i32): void {
  const step = (<usize>p.aTap) << 2;
  const pitch = (<usize>(p.rows * p.channels)) << 2;
  for (let row = first; row < last; row += p.panelRows) {
    const height = min(p.panelRows, last - row);
    const panel = p.filters + ((<usize>(row * p.channels)) << 2);
    for (let c = 0; c < p.channels; c++) {
      for (let r = 0; r < height; r++) {
        const from = p.a + ((<usize>((row + r) * p.aRow + c * p.aChannel)) << 2);
        transformFilter(from, step, panel + ((<usize>(c * height + r)) << 2), pitch);
      }
    }
  }
}

/**
 * What a run of groups reads of one line from column `start` on, zero outside of the source: of each group
 * ten floats, and two that do not count.
 */
// @ts-ignore: decorator
@inline
function copyLine(p: Winograd, plane: usize, row: i32, start: i32, groups: i32, to: usize): void {
  const inside = row >= 0 && row < p.sourceH;
  const zero = f32x4.splat(0);
  let from = plane + ((<usize>(row * p.sourceW + start)) << 2);
  for (let group = 0; group < groups; group++) {
    if (inside && start > -10 && start < p.sourceW) {
      // What lies close beside a line is read as well, and cleared.
      for (let at: usize = 0; at < LINE; at += 16) v128.store(to + at, loadQuad(from + at));
      for (let i = 0; i < min(10, -start); i++) store<f32>(to + ((<usize>i) << 2), 0);
      for (let i = max(0, p.sourceW - start); i < 10; i++) store<f32>(to + ((<usize>i) << 2), 0);
    } else {
      for (let at: usize = 0; at < LINE; at += 16) v128.store(to + at, quadOf(zero, 0));
    }
    start += COVER;
    from += <usize>COVER << 2;
    to += LINE;
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

/** Bᵀ d B of a vector's groups, whose lines start at `from`, `line` bytes apart. */
// @ts-ignore: decorator
@inline
function transformInput(from: usize, line: usize, to: usize, plane: usize): void {
  // Column j of all four tiles of a group: the lines' columns 2t + j.
  let v = loadQuads(from, LINE);
  let w = loadQuads(from + 16, LINE);
  let x = loadQuads(from + 32, LINE);
  let e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  let o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const a0 = e;
  const a1 = o;
  const a2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const a3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  from += line;
  v = loadQuads(from, LINE);
  w = loadQuads(from + 16, LINE);
  x = loadQuads(from + 32, LINE);
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const b0 = e;
  const b1 = o;
  const b2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const b3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  from += line;
  v = loadQuads(from, LINE);
  w = loadQuads(from + 16, LINE);
  x = loadQuads(from + 32, LINE);
  e = v128.shuffle<f32>(v, w, 0, 2, 4, 6);
  o = v128.shuffle<f32>(v, w, 1, 3, 5, 7);
  const c0 = e;
  const c1 = o;
  const c2 = v128.shuffle<f32>(e, x, 1, 2, 3, 4);
  const c3 = v128.shuffle<f32>(o, x, 1, 2, 3, 5);
  from += line;
  v = loadQuads(from, LINE);
  w = loadQuads(from + 16, LINE);
  x = loadQuads(from + 32, LINE);
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

/** One output channel of a block of groups: Aᵀ m A of all tiles with bias and activation. */
function transformBack(p: Winograd, scratch: usize, m: i32, first: i32, count: i32, perRow: i32, tileRows: i32): void {
  const width = (<usize>p.blockGroups) << 4;
  const plane = width * <usize>p.rows;
  const line = (<usize>p.outputW) << 2;
  const bias = splat(p.bias ? load<f32>(p.bias + ((<usize>m) << 2)) : <f32>0);
  const relu = p.relu;
  let row = first / perRow;
  let column = COVER * (first - row * perRow);
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
      const sample = row / tileRows;
      const top = 2 * (row - sample * tileRows);
      const index = ((sample * p.rows + m) * p.outputH + top) * p.outputW + column;
      const to = p.y + ((<usize>index) << 2);
      const columns = p.outputW - column;
      storeRow(to, quadOf(even, q), quadOf(odd, q), columns);
      if (top + 1 < p.outputH) storeRow(to + line, quadOf(below, q), quadOf(beside, q), columns);
      column += COVER;
      if (column >= p.outputW) {
        column = 0;
        row++;
      }
    }
  }
}

/** One channel of a block of groups into its place in the panels: [panels][channels][groups of a panel]. */
function transformChannel(p: Winograd, scratch: usize, c: i32, first: i32, count: i32, perRow: i32, tileRows: i32): void {
  const line = LINE * <usize>p.blockGroups;
  const panel = <usize>p.channels * PANEL_BYTES;
  const plane = panel * <usize>(p.blockGroups / PER_PANEL);
  const slice = p.sourceH * p.sourceW;
  const lines = scratch + p.lines;
  let at = 0;
  while (at < count) {
    const row = (first + at) / perRow;
    const group = first + at - row * perRow;
    const run = min(perRow - group, count - at);
    const sample = row / tileRows;
    const top = 2 * (row - sample * tileRows) - p.paddingH;
    const source = p.source + ((<usize>((sample * p.channels + c) * slice)) << 2);
    for (let i = 0; i < 4; i++) {
      const to = lines + <usize>i * line + <usize>at * LINE;
      copyLine(p, source, top + i, COVER * group - p.paddingW, run, to);
    }
    at += run;
  }
  for (let place = 0; place < count; place += QUADS) {
    const to =
      scratch +
      p.inputs +
      <usize>(place / PER_PANEL) * panel +
      <usize>c * PANEL_BYTES +
      ((<usize>(place % PER_PANEL)) << 4);
    transformInput(lines + <usize>place * LINE, line, to, plane);
  }
}

/** The rows of tiles from `first` to `last`, counted through all samples. */
export function winograd(p: Winograd, first: i32, last: i32): void {
  const scratch = ownScratch();
  const perRow = (p.outputW + COVER - 1) / COVER;
  const tileRows = (p.outputH + 1) >> 1;
  const width = (<usize>p.blockGroups) << 4;
  const panel = <usize>p.channels * PANEL_BYTES;
  const filters = (<usize>(p.rows * p.channels)) << 2;
  const end = last * perRow;
  for (let group = first * perRow; group < end; group += p.blockGroups) {
    const count = min(p.blockGroups, end - group);
    for (let c = 0; c < p.channels; c++) transformChannel(p, scratch, c, group, count, perRow, tileRows);
    for (let plane: usize = 0; plane < 16; plane++) {
      const a = p.filters + plane * filters;
      let b = scratch + p.inputs + plane * panel * <usize>(p.blockGroups / PER_PANEL);
      const c = scratch + p.outputs + plane * width * <usize>p.rows;
      for (let at = 0; at < count; at += PER_PANEL) {
        let from = a;
        let to = c + ((<usize>at) << 4);
        for (let row = 0; row < p.rows; row += p.panelRows) {
          const height = min(p.panelRows, p.rows - row);
          tileOf(height, from, b, PANEL_BYTES, p.channels, to, width, 0, 0, 0);
          from += (<usize>(height * p.channels)) << 2;
          to += <usize>height * width;
        }
        b += panel;
      }
    }
    for (let m = 0; m < p.rows; m++) transformBack(p, scratch, m, group, count, perRow, tileRows);
  }
}
