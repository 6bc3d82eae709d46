/**
 * Runs what product.ts describes: cuts a product into parts for threads, lays out its scratch, writes
 * its plan where the kernels read it, and starts them.
 */
import {
  CACHE_LINE,
  CACHE_LINE_BYTES,
  CHEAP_ELEMENTS,
  COSTLY_ELEMENTS,
  proportionalRanges,
  ranges,
  shares,
  sharesOf,
} from './parts.ts';
import {
  areLines,
  type Blocking,
  blocking,
  canRead,
  canStay,
  lineFloats,
  PLAN_BYTES,
  volume,
} from './product.ts';
import { runWinograd, runWinogradGrad } from './run-winograd.ts';
import { type Runtime, type WasmStorage, wholeLines } from './runtime.ts';
import type { Plan, Shift } from './ways.ts';

/** Bytes for what shifted sums need beside a plan. */
const SHIFT_BYTES = 128;
/** Columns of a tile of inner products (assembly/inner.ts). */
const INNER_COLUMNS = 4;
/** Largest A, in bytes, that each thread packs for itself, and that is packed for all of them. */
const MOST_OWN = 1 << 16;
const MOST_AHEAD = 1 << 20;
/** As much where columns come in many small chunks, each of which would pack it again. */
const MOST_AHEAD_OF_CHUNKS = 1 << 24;
/** Columns from which it pays that each thread packs a larger one for itself. */
const LEAST_COLUMNS = 64;

/** Tells plans apart. */
let serial = 0;

/** A new storage filled by products, in scratch that is counted while it is there. */
export function runProducts(
  r: Runtime,
  size: number,
  describe: (to: number) => readonly Plan[],
): WasmStorage {
  return r.making((make) => {
    const y = make(size);
    for (const plan of describe(r.at(y))) {
      if (plan.winograd) runWinograd(r, plan.product, plan.winograd);
      else if (plan.winogradGrad) runWinogradGrad(r, plan.product, plan.winogradGrad);
      else runPlan(r, plan);
    }
    return y;
  });
}

function runPlan(r: Runtime, plan: Plan): void {
  const { product: p, shift, sums, inner = false } = plan;
  const cuts = blocking(p, r.tile);
  const deep = sums !== undefined && sums.parts > 1;
  const bytesOfA = deep ? Number.POSITIVE_INFINITY : 4 * p.rows * p.depth;
  const direct = inner || canRead(p, r.tile);
  const mostAhead = shift ? MOST_AHEAD_OF_CHUNKS : MOST_AHEAD;
  const parts = cut(r, plan, direct || bytesOfA <= mostAhead);
  const packs = !direct && bytesOfA <= MOST_OWN;
  const ahead = !direct && !packs && bytesOfA <= mostAhead;
  // Where A lies ready, its rows go in one block, so that B is packed once.
  const b = direct || packs || ahead ? { ...cuts, blockRows: p.rows } : cuts;
  const packedBytes = ahead ? wholeLines(bytesOfA) : 0;
  // What is made aside has room in each row for whole tiles.
  const width = r.tile.columns * Math.ceil(p.columns / r.tile.columns);
  const pitch = sums ? wholeLines(4 * p.rows * width) : 0;
  const sumBytes = sums ? sums.parts * pitch : 0;
  const ownA = packs ? bytesOfA : ahead || direct ? 0 : 4 * b.blockRows * b.blockDepth;
  const scratch = layOut(r, plan, b, ownA);
  serial = (serial + 1) | 0;
  const run = (address: number) => {
    const aside = address + packedBytes;
    const desk = r.desk(PLAN_BYTES + SHIFT_BYTES);
    const behind = r.write(
      [
        ...[p.a, p.aRow, p.aChannel, p.aTap, p.aTaps, p.aRowTaps, p.aRowTap, direct ? 1 : 0],
        ...[p.transposed ? 1 : 0, canStay(p, r.tile) ? 1 : 0, areLines(p) ? 1 : 0],
        ...[scratch.pitch, p.source, p.channels],
        ...[...p.columnsGrid, ...p.sourceGrid, ...p.taps],
        ...[...p.multiplier, ...p.divisor, ...p.padding],
        ...(sums ? [aside, 0, width, width, 1] : [p.c, p.cSample, p.cRow, p.cColumns, 0]),
        ...[p.rows, p.columns, p.depth, p.bias, p.relu ? 1 : 0, p.mask, serial, packs ? 1 : 0],
        ...[ahead ? address : 0, scratch.packedA, scratch.packedB, scratch.line, scratch.tile],
        ...[b.panelRows, b.blockRows, b.blockColumns, b.blockDepth],
      ],
      desk,
    );
    if (shift) {
      r.write(
        [
          ...[shift.y, shift.bias, shift.relu ? 1 : 0, shift.mask, shift.rows],
          shift.backwards ? 1 : 0,
          ...[...shift.output, ...shift.source, ...shift.taps],
          ...[...shift.divisor, ...shift.padding],
          ...[scratch.partial, shift.chunkSamples, shift.chunkSlices],
        ],
        behind,
      );
    }
    if (ahead) {
      const threads = r.threads(p.rows * p.depth, CHEAP_ELEMENTS);
      r.start(
        'packAhead',
        ranges(p.rows, threads, b.panelRows).map((rows) => [desk, ...rows]),
      );
    }
    if (shift) {
      r.start(
        'shiftedProduct',
        parts.map((range) => [desk, behind, ...range]),
      );
    } else if (deep) {
      r.start(
        'deepProduct',
        parts.map((range) => [desk, sums.part, pitch, ...range]),
      );
    } else {
      r.start(
        'product',
        parts.map((range) => [desk, ...range]),
      );
    }
    if (sums) {
      r.start(
        'sumParts',
        ranges(p.rows, r.threads(p.rows * p.columns, COSTLY_ELEMENTS)).map((rows) => [
          ...[aside, pitch, sums.parts, width],
          ...[p.c, p.cSample, p.cRow, p.cColumn, p.cColumns, p.columns, ...rows],
        ]),
      );
    }
  };
  r.inScratch(packedBytes + sumBytes, run, { own: scratch.bytes, users: parts.length });
}

/**
 * Ranges of what a product is parted by: samples and depths, parts of k, or columns. `once` says that A is
 * packed once at most, and not for each part.
 */
function cut(
  r: Runtime,
  { product: p, shift, sums, inner }: Plan,
  once: boolean,
): readonly (readonly number[])[] {
  const parts = sharesOf(r, p);
  if (shift) {
    const alone = parts.length === 1 || (!once && p.columns < LEAST_COLUMNS);
    const threads = alone ? 1 : r.threads(1, 1);
    return shiftRanges(shift, once ? parts : shares(threads, false), threads, r.tile.columns);
  }
  if (sums && sums.parts > 1) return proportionalRanges(sums.parts, parts);
  return proportionalRanges(p.columns, parts, inner ? CACHE_LINE : r.tile.columns);
}

/**
 * Samples, as many as fill a tile, or depths where there are fewer than threads, in as few parts
 * as can be: what both sides of a cut need is multiplied for both.
 */
function shiftRanges(
  shift: Shift,
  parts: readonly number[],
  threads: number,
  columns: number,
): number[][] {
  const [depth] = shift.output;
  if (shift.batch >= threads) {
    const filling = Math.ceil(columns / volume(shift.source));
    return proportionalRanges(shift.batch, parts, filling).map((r) => [...r, 0, depth]);
  }
  return proportionalRanges(depth, shares(threads, false)).map((r) => [0, shift.batch, ...r]);
}

/** Offsets in a thread's scratch, and its size. */
function layOut(
  r: Runtime,
  { product: p, inner, shift }: Plan,
  b: Blocking,
  ownA: number,
): {
  readonly [K in 'pitch' | 'packedA' | 'packedB' | 'line' | 'tile' | 'partial' | 'bytes']: number;
} {
  // An odd number of cache lines, so that lines of B do not share sets.
  const pitch = inner ? wholeLines(4 * b.blockDepth) | CACHE_LINE_BYTES : 0;
  const bytesOfB = inner
    ? pitch * INNER_COLUMNS * Math.ceil(p.columns / INNER_COLUMNS) + CACHE_LINE_BYTES
    : r.kernels.blockBytes(b.blockColumns, b.blockDepth);
  const packedB = PLAN_BYTES;
  const packedA = packedB + bytesOfB;
  const line = packedA + ownA;
  const tile = line + 4 * lineFloats(p, b, r.tile);
  const partial = tile + 4 * r.tile.columns * r.tile.rows;
  const bytes = partial + (shift?.partialBytes ?? 0);
  return { pitch, packedA, packedB, line, tile, partial, bytes };
}
