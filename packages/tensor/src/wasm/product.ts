/**
 * Matrix products, convolutions and their gradients, each described as one product C = A·B for the
 * kernel in assembly/product.ts. The fields are those of assembly/plan.ts, which explains them.
 *
 * Left out: which way it runs (ways.ts), pointers to scratch, and running anything (run-product.ts).
 */
import type { ConvGeometry, MatmulGeometry, Triple } from '../backend.ts';

/** A product without its blocking. Pointers are bytes, all strides are elements. */
export interface Product {
  a: number;
  aRow: number;
  aChannel: number;
  aTap: number;
  aTaps: number;
  /** Not 0 where a row of A is a pair of a row and a tap. */
  aRowTaps: number;
  aRowTap: number;
  /** Are the rows of the virtual matrix the columns of C? */
  transposed: boolean;
  source: number;
  channels: number;
  columnsGrid: Triple;
  sourceGrid: Triple;
  taps: Triple;
  multiplier: Triple;
  divisor: Triple;
  padding: Triple;
  c: number;
  cSample: number;
  cRow: number;
  cColumn: number;
  cColumns: number;
  rows: number;
  columns: number;
  depth: number;
  bias: number;
  relu: boolean;
  /** Where not 0, an array laid out as C, which is zero where that is not positive. */
  mask: number;
}

/** Rows and columns of a register tile, and floats of the kernels' vectors. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly lanes: number;
}

/** How a product is cut so that its parts fit the caches. */
export interface Blocking {
  readonly panelRows: number;
  readonly blockRows: number;
  readonly blockColumns: number;
  readonly blockDepth: number;
}

/** Bytes for a plan, with which each thread's scratch begins. */
export const PLAN_BYTES = 256;
export const ONES: Triple = [1, 1, 1];
export const ZEROS: Triple = [0, 0, 0];
/** Largest blocks. A panel of B is a tile's columns by 320 floats: 10 KiB of eight columns, 40 of 32. */
export const MAX_DEPTH = 320;
const MAX_ROWS = 192;
const MAX_COLUMNS = 128;

export const volume = (t: Triple): number => t[0] * t[1] * t[2];
const each = (t: Triple, f: (x: number, axis: 0 | 1 | 2) => number): Triple => [
  f(t[0], 0),
  f(t[1], 1),
  f(t[2], 2),
];
/** `size` in the fewest parts of at most `limit`, as even as multiples of `unit` allow. */
export function evenly(size: number, limit: number, unit: number): number {
  const part = Math.ceil(size / Math.ceil(size / limit));
  return Math.ceil(part / unit) * unit;
}

/** How a product is cut for kernels whose register tiles have so many rows and columns. */
export function blocking(p: Product, tile: Tile): Blocking {
  const panelRows = Math.ceil(p.rows / Math.ceil(p.rows / tile.rows));
  return {
    panelRows,
    blockRows: evenly(p.rows, MAX_ROWS, panelRows),
    blockColumns: Math.min(MAX_COLUMNS, Math.ceil(p.columns / tile.columns) * tile.columns),
    blockDepth: blockDepth(p),
  };
}

/** Least entries of k to a block, for the sake of which its blocks do not cross from one channel of A to the next. */
const LEAST_DEPTH = 64;

/**
 * Entries of k to a block: of one channel of A, where that has many enough. It depends on sizes alone,
 * as sums do.
 */
export function blockDepth(p: Product): number {
  if (p.transposed && p.aTaps < p.depth) {
    let parts = Math.ceil(p.aTaps / MAX_DEPTH);
    while (p.aTaps % parts !== 0 && p.aTaps >= LEAST_DEPTH * parts) parts++;
    if (p.aTaps >= LEAST_DEPTH * parts) return p.aTaps / parts;
  }
  return evenly(p.depth, MAX_DEPTH, 4);
}

/** Floats of scratch for gathered lines: one block's columns, or a panel's lines of its depth. */
export function lineFloats(p: Product, b: Blocking, tile: Tile): number {
  return p.transposed ? tile.columns * (b.blockDepth + 8) + 16 : b.blockColumns + 16;
}

/** Channels up to which a panel of B that is not packed fits the first-level cache however it lies. */
const FEW_CHANNELS = 8;
/** Channels up to which it may be read so at all, lines of the cache to a set, and sets. */
const MOST_CHANNELS = 64;
const WAYS = 8;
const SETS = 64;
/** Part of the columns of whole tiles that must be used. */
const LEAST_FILLED = 0.95;

/** Floats of a vector from which a number of A, wherever it lies, is used often enough to be read there. */
const MANY_LANES = 8;

/**
 * Floats from an entry of k to the next from which A's lines meet in few sets of the first-level cache, and columns
 * that are worth a copy of it then.
 */
const FAR = 64;
const MANY_COLUMNS = 256;

/** Is A to be read where it lies, row by row at even distances, instead of packed? */
export function canRead(p: Product, tile: Tile): boolean {
  const crosses = p.aTaps < p.depth && p.aTaps % blockDepth(p) !== 0;
  if (p.aRowTaps !== 0 || crosses) return false;
  if (Math.abs(p.aTap) >= FAR && p.columns >= MANY_COLUMNS) return false;
  return tile.lanes >= MANY_LANES;
}

/** Are the rows of B's virtual matrix lines of the source as they lie? */
export function areLines(p: Product): boolean {
  const [depth, height] = p.sourceGrid;
  const plain = volume(p.multiplier) * volume(p.divisor) === 1 && p.padding.every((x) => x === 0);
  return plain && !p.transposed && volume(p.taps) * depth * height === 1;
}

/**
 * Can B stay where it lies? It is then read in panels of a tile's neighbouring positions, a row of each
 * channel, which must not meet in few sets of the first-level cache.
 */
export function canStay(p: Product, tile: Tile): boolean {
  if (!areLines(p)) return false;
  const line = p.sourceGrid[2];
  if (p.channels <= FEW_CHANNELS) return true;
  const filled = line / (tile.columns * Math.ceil(line / tile.columns));
  if (p.channels > MOST_CHANNELS || filled < LEAST_FILLED) return false;
  const used = new Uint8Array(SETS);
  for (let c = 0; c < p.channels; c++) {
    const set = Math.floor((4 * line * c) / 64) % SETS;
    used[set]! += 1;
    if (used[set]! > WAYS) return false;
  }
  return true;
}

/** A convolution that only mixes channels runs over all positions as over one line. */
function flattened(g: ConvGeometry): ConvGeometry {
  const same = [0, 1, 2].every((i) => g.kernel[i] === 1 && g.stride[i] === 1 && g.padding[i] === 0);
  if (!same) return g;
  const line: Triple = [1, 1, volume(g.input)];
  return { ...g, input: line, output: line };
}

export function convProduct(
  x: number,
  w: number,
  bias: number,
  relu: boolean,
  y: number,
  geometry: ConvGeometry,
): Product {
  const g = flattened(geometry);
  const positions = volume(g.output);
  const depth = g.inputChannels * volume(g.kernel);
  return {
    a: w,
    aRow: depth,
    aChannel: volume(g.kernel),
    aTap: 1,
    aTaps: volume(g.kernel),
    aRowTaps: 0,
    aRowTap: 0,
    transposed: false,
    source: x,
    channels: g.inputChannels,
    columnsGrid: g.output,
    sourceGrid: g.input,
    taps: g.kernel,
    multiplier: g.stride,
    divisor: ONES,
    padding: g.padding,
    c: y,
    cSample: g.outputChannels * positions,
    cRow: positions,
    cColumn: 1,
    cColumns: positions,
    rows: g.outputChannels,
    columns: g.batch * positions,
    depth,
    bias,
    relu,
    mask: 0,
  };
}

/**
 * dx[i, p] = Σ dy[o, (p + padding − k)/stride] w[o, i, k]: with the taps counted backwards, a
 * convolution of dy with padding kernel − 1 − padding, whose stride divides instead of multiplying.
 */
export function inputGradProduct(
  dy: number,
  w: number,
  mask: number,
  dx: number,
  geometry: ConvGeometry,
): Product {
  const g = flattened(geometry);
  const positions = volume(g.input);
  const taps = volume(g.kernel);
  const perOutput = g.inputChannels * taps;
  return {
    a: w + 4 * (taps - 1),
    aRow: taps,
    aChannel: perOutput,
    aTap: -1,
    aTaps: taps,
    aRowTaps: 0,
    aRowTap: 0,
    transposed: false,
    source: dy,
    channels: g.outputChannels,
    columnsGrid: g.input,
    sourceGrid: g.output,
    taps: g.kernel,
    multiplier: ONES,
    divisor: g.stride,
    padding: each(g.kernel, (k, axis) => k - 1 - g.padding[axis]),
    c: dx,
    cSample: g.inputChannels * positions,
    cRow: positions,
    cColumn: 1,
    cColumns: positions,
    rows: g.inputChannels,
    columns: g.batch * positions,
    depth: g.outputChannels * taps,
    bias: 0,
    relu: false,
    mask,
  };
}

/** Largest dw, in floats, that may be made with its columns turned, since it is there twice then. */
const MOST_TURNED = 1 << 20;

/**
 * dw[o, i, k] = Σ dy[o, p] x[i, stride·p + k − padding]. Whichever of x and dy is unrolled over the
 * taps is copied once per tap, so the one with fewer channels is; but x where dw is large, whose columns are
 * then neighbours.
 */
export function filterGradProduct(
  x: number,
  dy: number,
  dw: number,
  geometry: ConvGeometry,
): Product {
  const g = flattened(geometry);
  const taps = volume(g.kernel);
  const fewer = g.inputChannels * volume(g.output) <= g.outputChannels * volume(g.input);
  const unrollInput = fewer || g.inputChannels * g.outputChannels * taps > MOST_TURNED;
  const positions = volume(unrollInput ? g.output : g.input);
  const rows = unrollInput ? g.outputChannels : g.inputChannels;
  const columns = (unrollInput ? g.inputChannels : g.outputChannels) * taps;
  const shared = {
    aRow: positions,
    aChannel: rows * positions,
    aTap: 1,
    aTaps: positions,
    aRowTaps: 0,
    aRowTap: 0,
    transposed: true,
    taps: g.kernel,
    rows,
    columns,
    depth: g.batch * positions,
    bias: 0,
    relu: false,
    mask: 0,
  };
  if (unrollInput) {
    return {
      ...shared,
      a: dy,
      source: x,
      channels: g.inputChannels,
      columnsGrid: g.output,
      sourceGrid: g.input,
      multiplier: g.stride,
      divisor: ONES,
      padding: g.padding,
      c: dw,
      cSample: 0,
      cRow: columns,
      cColumn: 1,
      cColumns: columns,
    };
  }
  return {
    ...shared,
    a: x,
    source: dy,
    channels: g.outputChannels,
    columnsGrid: g.input,
    sourceGrid: g.output,
    multiplier: ONES,
    divisor: g.stride,
    padding: each(g.kernel, (k, axis) => k - 1 - g.padding[axis]),
    // Columns are (output channel, tap counted backwards), rows are input channels.
    c: dw + 4 * (taps - 1),
    cSample: g.inputChannels * taps,
    cRow: taps,
    cColumn: -1,
    cColumns: taps,
  };
}

/** One product, or one per matrix of the batch where neither operand can be run through as one. */
export function matmulProducts(a: number, b: number, c: number, g: MatmulGeometry): Product[] {
  let { batch, m } = g;
  // A stack of A's over one B is one tall A; a row of B's beside one A is one wide B.
  const tall = g.batchedA && !g.batchedB && !g.transposeA;
  const wide = !g.batchedA && g.batchedB && !g.transposeB;
  const samples = wide ? batch : 1;
  if (tall) m *= batch;
  if (tall || wide) batch = 1;
  const line: Triple = [1, 1, g.transposeB ? g.k : g.n];
  return Array.from({ length: batch }, (_, i) => ({
    a: a + (g.batchedA ? 4 * i * m * g.k : 0),
    aRow: g.transposeA ? 1 : g.k,
    aChannel: 0,
    aTap: g.transposeA ? m : 1,
    aTaps: g.k,
    aRowTaps: 0,
    aRowTap: 0,
    transposed: g.transposeB,
    source: b + (g.batchedB ? 4 * i * g.k * g.n : 0),
    channels: g.transposeB ? g.n : g.k,
    columnsGrid: line,
    sourceGrid: line,
    taps: ONES,
    multiplier: ONES,
    divisor: ONES,
    padding: ZEROS,
    c: c + 4 * i * m * g.n,
    cSample: m * g.n,
    cRow: g.n,
    cColumn: 1,
    cColumns: g.n,
    rows: m,
    columns: samples * g.n,
    depth: g.k,
    bias: 0,
    relu: false,
    mask: 0,
  }));
}
