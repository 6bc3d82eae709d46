/**
 * How work is parted among threads: the smallest work that is worth waking them for, and cuts at
 * which no thread writes into what another one does.
 */

/** Multiply-adds in whose time one number of A or B is packed. */
const PACKING_WORK = 12;
/** Multiply-adds, packing included, below which a product stays with one thread. */
const WORTH_PARTING = 200_000;
/** Multiply-adds from which a product is cut into more parts than there are threads. */
const WORTH_CUTTING_FINER = 2_000_000;
/** Elements below which cheap work on each stays with one thread, and work that takes longer. */
export const CHEAP_ELEMENTS = 32_768;
export const COSTLY_ELEMENTS = 4096;
/** Floats to a line of the cache, which threads should not share. */
export const CACHE_LINE = 16;
export const CACHE_LINE_BYTES = 64;
/** 0 … `size` in as many ranges as there are threads, cut at multiples of `unit`. */
export function ranges(size: number, threads: number, unit = 1): [number, number][] {
  if (threads === 1) return [[0, size]];
  return proportionalRanges(size, shares(threads, false), unit);
}

/** Ranges of `size` rows of a result, `row` floats each, that share no line of the cache. */
export function rowRanges(size: number, row: number, threads: number): [number, number][] {
  if (threads === 1) return [[0, size]];
  return ranges(size, threads, CACHE_LINE / commonDivisor(CACHE_LINE, row));
}

/** Sizes of the parts that a thread takes of a long job, in the order in which it takes them. */
const LESS_AND_LESS = [3, 2, 1.5, 1];

/**
 * In what proportion work is cut: once for each thread or, where it is long, several times, into parts
 * that are the smaller the later they are taken, so that threads end at about the same time. The
 * caller takes parts from the front and the others from the back.
 */
export function shares(threads: number, long: boolean): readonly number[] {
  if (!long || threads === 1) return new Array<number>(threads).fill(1);
  const others = LESS_AND_LESS.flatMap((share) => new Array<number>(threads - 1).fill(share));
  return [...LESS_AND_LESS, ...others.reverse()];
}

/** In what proportion a product is cut, by a runtime that says how many threads so much work is worth. */
export function sharesOf(
  r: { threads(work: number, worth: number): number },
  p: { readonly rows: number; readonly columns: number; readonly depth: number },
): readonly number[] {
  const work = p.depth * (p.rows * p.columns + PACKING_WORK * (p.rows + p.columns));
  return shares(r.threads(work, WORTH_PARTING), work > WORTH_CUTTING_FINER);
}

/** 0 … `size` in ranges of such proportions, cut at multiples of `unit`; none is empty. */
export function proportionalRanges(
  size: number,
  parts: readonly number[],
  unit = 1,
): [number, number][] {
  const units = Math.ceil(size / unit);
  const total = parts.reduce((sum, part) => sum + part, 0);
  const result: [number, number][] = [];
  let [sum, begin] = [0, 0];
  for (const part of parts) {
    sum += part;
    const end = Math.min(size, unit * Math.round((sum / total) * units));
    if (end > begin) result.push([begin, end]);
    begin = end;
  }
  return result;
}

/** Most parts of a job for each thread. */
export const PARTS_PER_THREAD = LESS_AND_LESS.length;

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
