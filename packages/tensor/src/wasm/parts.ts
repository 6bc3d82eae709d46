/**
 * How work is parted among threads: the smallest work that is worth waking them for, and cuts at
 * which no thread writes into what another one does.
 */
import type { Shift } from './product.ts';

/** Multiply-adds in whose time one number of A or B is packed. */
export const PACKING_WORK = 12;
/** Multiply-adds, packing included, below which a product stays with one thread. */
export const WORTH_PARTING = 200_000;
/** Multiply-adds from which a product is cut into more parts than there are threads. */
export const WORTH_CUTTING_FINER = 2_000_000;
/** Elements below which cheap work on each stays with one thread, and work that takes longer. */
export const CHEAP_ELEMENTS = 32_768;
export const COSTLY_ELEMENTS = 4096;
/** Floats to a line of the cache, which threads should not share. */
export const CACHE_LINE = 16;
/** Columns of C that a register tile covers, which parts are cut at. */
export const TILE_COLUMNS = 8;

/** 0 … `size` in as many ranges as there are threads, cut at multiples of `unit`. */
export function ranges(size: number, threads: number, unit = 1): [number, number][] {
  if (threads === 1) return [[0, size]];
  const units = Math.ceil(size / unit);
  const count = Math.max(1, Math.min(threads, units));
  const cut = (i: number) => Math.min(size, unit * Math.round((i * units) / count));
  return Array.from({ length: count }, (_, i) => [cut(i), cut(i + 1)]);
}

/** Ranges of `size` rows of a result, `row` floats each, that share no line of the cache. */
export function rowRanges(size: number, row: number, threads: number): [number, number][] {
  if (threads === 1) return [[0, size]];
  return ranges(size, threads, CACHE_LINE / commonDivisor(CACHE_LINE, row));
}

/** Columns of C for each thread, by whole register tiles. */
export function columnRanges(columns: number, threads: number): [number, number][] {
  return ranges(columns, threads, TILE_COLUMNS);
}

/** Samples for each thread, or depths where there are fewer samples; all of the other. */
export function shiftRanges(shift: Shift, threads: number): number[][] {
  const [depth] = shift.output;
  if (shift.batch >= threads) return ranges(shift.batch, threads).map((r) => [...r, 0, depth]);
  return ranges(depth, threads).map((r) => [0, shift.batch, ...r]);
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
