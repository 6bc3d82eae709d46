/**
 * Filter gradients of 3×3 convolutions of stride 1 by Winograd's method, the adjoint of winograd.ts: of each tile the
 * transformed patch and the transformed gradient of its outputs, products of both summed over all tiles, which
 * are the inner products of inner.ts, and the sums transformed back. 16 products for each tile, where the direct
 * method has 36. Mathematics: docs/math/tensor/winograd.md
 *
 * Left out: threads. Each part of the rows of tiles has sums of its own, however many threads there are; of those some
 * may share a part, each with some rows of its sums.
 */
import { PANEL_BYTES } from './gemm';
import { multiplyLines } from './inner';
import { Winograd, WinogradGrad } from './plan';
import { ownScratch } from './scratch';
import { LANES, splat, VECTOR } from './simd';
import { COVER, findPlaces, transformPatches, transformTiles } from './winograd';

/** Bytes of a row of sums: whole tiles of inner.ts, four columns each. */
// @ts-ignore: decorator
@inline
function rowBytes(x: Winograd): usize {
  return (<usize>((x.channels + 3) & ~3)) << 2;
}

/** Bytes of a plane of lines: one line of the cache more, so that planes do not share sets. */
// @ts-ignore: decorator
@inline
function planeBytes(p: Winograd, g: WinogradGrad): usize {
  return <usize>(p.channels * g.lineBytes) + 64;
}

/** The sums' rows from `low` to `high` of the parts from `first` to `last`. */
export function winogradGrad(
  x: Winograd,
  dy: Winograd,
  g: WinogradGrad,
  first: i32,
  last: i32,
  low: i32,
  high: i32,
): void {
  const scratch = ownScratch();
  const perRow = (x.outputW + COVER - 1) / COVER;
  const tileRows = (x.outputH + 1) >> 1;
  const line = <usize>g.lineBytes;
  const row = rowBytes(x);
  const patches = planeBytes(x, g);
  const tiles = planeBytes(dy, g);
  for (let part = first; part < last; part++) {
    const sums = g.sums + <usize>(part * g.pitch);
    const end = min(g.allRows, (part + 1) * g.partRows) * perRow;
    let add = 0;
    for (let group = part * g.partRows * perRow; group < end; group += x.blockGroups) {
      const count = min(x.blockGroups, end - group);
      findPlaces(x, scratch, true, group, count, perRow, tileRows);
      let to = scratch + x.inputs;
      for (let c = 0; c < x.channels; c++) {
        transformPatches(x, scratch, c, count, to, PANEL_BYTES, patches);
        to += line;
      }
      findPlaces(dy, scratch, false, group, count, perRow, tileRows);
      to = scratch + dy.inputs;
      for (let c = low; c < high; c++) {
        transformTiles(dy, scratch, c, count, to, PANEL_BYTES, tiles);
        to += line;
      }
      for (let plane: usize = 0; plane < 16; plane++) {
        const a = scratch + dy.inputs + plane * tiles;
        const b = scratch + x.inputs + plane * patches;
        const c = sums + (plane * <usize>dy.channels + <usize>low) * row;
        multiplyLines(a, line, b, line, scratch + g.joined, high - low, x.channels, 4 * count, c, row, add);
      }
      add = 1;
    }
  }
}

/** The filter gradients' rows from `first` to `last`: Gᵀ u G of the sums u of all parts. */
export function winogradGradBack(x: Winograd, dy: Winograd, g: WinogradGrad, first: i32, last: i32): void {
  const row = rowBytes(x);
  const plane = <usize>dy.channels * row;
  // Twelve vectors, where the sums had their lines joined.
  const table = ownScratch() + g.joined;
  for (let m = first; m < last; m++) {
    for (let c = 0; c < x.channels; c += LANES) {
      const from = g.sums + <usize>m * row + ((<usize>c) << 2);
      // u G row by row, then Gᵀ of that column by column, in place.
      for (let i: usize = 0; i < 4; i++) {
        const at = from + 4 * i * plane;
        foldColumns(sumOf(at, g), sumOf(at + plane, g), sumOf(at + 2 * plane, g), sumOf(at + 3 * plane, g), table + 3 * i * VECTOR, VECTOR);
      }
      for (let i: usize = 0; i < 3; i++) {
        const at = table + i * VECTOR;
        foldColumns(v128.load(at), v128.load(at + 3 * VECTOR), v128.load(at + 6 * VECTOR), v128.load(at + 9 * VECTOR), at, 3 * VECTOR);
      }
      for (let i = 0; i < min(LANES, x.channels - c); i++) {
        let to = g.dw + ((<usize>(m * g.dwRow + (c + i) * g.dwChannel)) << 2);
        let at = table + ((<usize>i) << 2);
        for (let tap = 0; tap < 9; tap++) {
          store<f32>(to, load<f32>(at));
          to += (<usize>g.dwTap) << 2;
          at += VECTOR;
        }
      }
    }
  }
}

/** The sum over the parts. */
// @ts-ignore: decorator
@inline
function sumOf(at: usize, g: WinogradGrad): v128 {
  let total = v128.load(at);
  for (let part = 1; part < g.parts; part++) {
    at += <usize>g.pitch;
    total = f32x4.add(total, v128.load(at));
  }
  return total;
}

/** The three numbers of Gᵀ of four, `step` bytes apart. */
function foldColumns(a: v128, b: v128, c: v128, d: v128, to: usize, step: usize): void {
  const half = splat(0.5);
  const sum = f32x4.mul(f32x4.add(b, c), half);
  v128.store(to, f32x4.add(a, sum));
  v128.store(to + step, f32x4.mul(f32x4.sub(b, c), half));
  v128.store(to + 2 * step, f32x4.add(sum, d));
}
