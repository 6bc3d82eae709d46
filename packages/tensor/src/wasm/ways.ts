/**
 * The ways in which a product can run, and which of them is chosen: as it is, in parts of a long k, as inner
 * products, by shifted sums, or by Winograd's method. The choice depends on sizes alone, so that results do not
 * depend on threads.
 *
 * Left out: the products themselves (product.ts), and running them (run-product.ts).
 */
import type { Triple } from '../backend.ts';
import { blockDepth, MAX_DEPTH, ONES, type Product, volume, ZEROS } from './product.ts';

/** One way to run a product: as it is, or as what else is there of these says. */
export interface Plan {
  readonly product: Product;
  readonly winograd?: Winograd;
  readonly winogradGrad?: WinogradGrad;
  readonly shift?: Shift;
  readonly sums?: Sums | undefined;
  /** Are the rows of A and the columns of B lines along k (assembly/inner.ts)? */
  readonly inner?: boolean;
}

/** Chooses how a convolution, or its input gradient, runs. */
export function plannedConv(p: Product): Plan {
  return byWinograd(p) ?? shifted(p) ?? { product: joined(p) };
}

/** What assembly/shift.ts needs beside the product of its first half. */
export interface Shift {
  /** Words as `Shift` in assembly/plan.ts has them, `partial` aside. */
  readonly y: number;
  readonly bias: number;
  readonly relu: boolean;
  readonly mask: number;
  readonly batch: number;
  readonly rows: number;
  /** Do the rows of the product have the taps backwards? */
  readonly backwards: boolean;
  readonly output: Triple;
  readonly source: Triple;
  readonly taps: Triple;
  readonly divisor: Triple;
  readonly padding: Triple;
  readonly chunkSamples: number;
  readonly chunkSlices: number;
  readonly partialBytes: number;
}

/** What assembly/winograd.ts needs beside the product, whose weights and grids it reads. */
export interface Winograd {
  /** Rows of 2×2 tiles, through all samples: what threads part. */
  readonly tileRows: number;
  /** Groups of four tiles that are transformed at once, but for those that fill a panel. */
  readonly mostGroups: number;
}

/** Chooses how a filter gradient runs. */
export function plannedFilterGrad(p: Product): Plan {
  const winogradGrad = gradByWinograd(p);
  if (winogradGrad) return { product: p, winogradGrad };
  const inner = areLong(p);
  const parts = partsOfDepth(p);
  // Kernels write neighbours, whole tiles of them where they are inner products.
  const aside = inner || p.cColumn !== 1;
  return { product: p, inner, sums: parts ?? (aside ? { parts: 1, part: p.depth } : undefined) };
}

/** Columns of C up to which inner products of lines are faster: more of them fill a product's tiles. */
const MOST_INNER = 64;

/** Are blocks of k lines of A, of whole quads, for a C of few columns? */
function areLong(p: Product): boolean {
  const block = blockDepth(p);
  return p.columns <= MOST_INNER && p.aTap === 1 && p.aTaps % block === 0 && block % 4 === 0;
}

/** Columns of C up to which packing A for each thread costs more than adding up parts does. */
const FEW_COLUMNS = 256;
/** Most parts that k is cut into: so many threads can help. */
const MAX_PARTS = 8;

/** Results made aside, one of each part of k, whose sum is then written as C lies; the only part may be all of k. */
export interface Sums {
  readonly parts: number;
  /** Entries of k of each part but the last. */
  readonly part: number;
}

/** Parts of a long k for a C of few columns: of its sizes alone, so that sums are always the same. */
function partsOfDepth(p: Product): Sums | undefined {
  if (p.columns > FEW_COLUMNS || p.depth < 2 * MAX_DEPTH) return undefined;
  // Whole blocks in a power of two of parts at most: where they come out even, two threads have as much to do.
  const block = blockDepth(p);
  const blocks = Math.ceil(p.depth / block);
  const parts = Math.min(MAX_PARTS, 2 ** Math.floor(Math.log2(blocks)));
  const part = Math.ceil(blocks / parts) * block;
  return { part, parts: Math.ceil(p.depth / part) };
}

/** Runs of k are as long as they can be where channels follow each other as taps do. */
function joined(p: Product): Product {
  if (p.aTaps === 1) return { ...p, aTap: p.aChannel, aChannel: 0, aTaps: p.depth };
  if (p.aChannel === p.aTap * p.aTaps) return { ...p, aChannel: 0, aTaps: p.depth };
  return p;
}

/**
 * Channels on either side from which Winograd's transforms are paid for; and where there are few groups: of convolutions,
 * whose transformed filters these share, and of filter gradients, whose sums they are.
 */
const LEAST_CHANNELS = 8;
const LEAST_CHANNELS_OF_FEW = 24;
const LEAST_GRAD_CHANNELS_OF_FEW = 16;
const FEW_GROUPS = 64;
/** Part of what is computed for whole groups of tiles that must be used. */
const LEAST_USED = 0.7;
/** Bytes for a block of transformed numbers: what the second-level cache holds. */
const WINOGRAD_BYTES = 768 * 1024;
const MOST_GROUPS = 32;
/** Most bytes of transformed filters, and for a handful of groups. */
const MOST_FILTER_BYTES = 16 * 1024 * 1024;
const MOST_FILTER_BYTES_OF_HANDFUL = 1024 * 1024;
const HANDFUL = 8;

/** The plan by Winograd's method, where it is possible and faster. */
function byWinograd(p: Product): Plan | undefined {
  const [, height, width] = p.columnsGrid;
  const tileRows = tileRowsOf(p, p.columns / (height * width), LEAST_CHANNELS_OF_FEW);
  if (tileRows === undefined) return undefined;
  const groups = tileRows * groupsPerRow(p);
  const most = groups < HANDFUL ? MOST_FILTER_BYTES_OF_HANDFUL : MOST_FILTER_BYTES;
  if (64 * p.rows * p.channels > most) return undefined;
  return { product: p, winograd: { tileRows, mostGroups: fittingGroups(p) } };
}

/** Groups whose transformed numbers make a block. */
function fittingGroups(p: Product): number {
  return Math.min(MOST_GROUPS, Math.floor(WINOGRAD_BYTES / (256 * (p.rows + p.channels))));
}

/** Rows of tiles of so many samples, where a convolution is one for Winograd's method; `ofFew` as the constants say. */
function tileRowsOf(p: Product, samples: number, ofFew: number): number | undefined {
  const unit = [...p.multiplier, ...p.divisor].every((x) => x === 1);
  const [tapsD, tapsH, tapsW] = p.taps;
  const flat = p.sourceGrid[0] === 1 && p.columnsGrid[0] === 1 && tapsD === 1;
  if (!unit || !flat || tapsH !== 3 || tapsW !== 3 || p.padding[0] !== 0) return undefined;
  const [, height, width] = p.columnsGrid;
  const tileRows = samples * Math.ceil(height / 2);
  const used = (samples * height * width) / (tileRows * groupsPerRow(p) * 16);
  const least = tileRows * groupsPerRow(p) < FEW_GROUPS ? ofFew : LEAST_CHANNELS;
  return Math.min(p.rows, p.channels) < least || used < LEAST_USED ? undefined : tileRows;
}

/** Groups of four tiles along a line. */
function groupsPerRow(p: Product): number {
  return Math.ceil(p.columnsGrid[2] / 8);
}

/** What assembly/gradients.ts needs beside the product, whose grids it reads. */
export interface WinogradGrad {
  /** Rows of tiles, through all samples, and those of each part but the last. */
  readonly tileRows: number;
  readonly partRows: number;
  readonly parts: number;
  /** Groups that are transformed at once: of the sizes alone, so that sums are always the same. */
  readonly blockGroups: number;
}

/** Groups that blocks are whole multiples of. */
const GROUPS = 8;
/** Groups that are worth sums of their own, which have to be added up. */
const LEAST_PART_GROUPS = 32;
/** Bytes of the sums of one part, at most, and of all parts where there are more than two. */
const MOST_SUM_BYTES = 2 * 1024 * 1024;
const MOST_SUMS_BYTES = 4 * 1024 * 1024;
/** Multiply-adds of the direct method from which the transforms are paid for. */
const LEAST_WORK = 4_000_000;

/** A filter gradient by Winograd's method, where it is possible and faster. */
function gradByWinograd(p: Product): WinogradGrad | undefined {
  const [, height, width] = p.columnsGrid;
  const tileRows = tileRowsOf(p, p.depth / (height * width), LEAST_GRAD_CHANNELS_OF_FEW);
  const bytes = 64 * p.rows * p.channels;
  const little = p.rows * p.columns * p.depth < LEAST_WORK;
  if (tileRows === undefined || little || bytes > MOST_SUM_BYTES) return undefined;
  const groups = tileRows * groupsPerRow(p);
  const fit = Math.max(2, Math.floor(MOST_SUMS_BYTES / bytes));
  const most = Math.min(MAX_PARTS, fit, Math.max(1, Math.floor(groups / LEAST_PART_GROUPS)));
  const partRows = Math.ceil(tileRows / 2 ** Math.floor(Math.log2(most)));
  const needed = Math.min(fittingGroups(p), partRows * groupsPerRow(p));
  return {
    ...{ tileRows, partRows, parts: Math.ceil(tileRows / partRows) },
    blockGroups: GROUPS * Math.max(1, Math.floor(needed / GROUPS)),
  };
}

/** Scratch for the partial sums of a shifted product. */
const SHIFT_BYTES = 320 * 1024;
/** As much for gradients that are spread by a stride, whose products have more rows. */
const SPREAD_BYTES = 1280 * 1024;
/** At most, where a single slice takes more than that. */
const MOST_SLICE_BYTES = 8 * 1024 * 1024;
/** Columns of a chunk for which A is worth reading, where no more scratch than that of a spread one is needed. */
const LEAST_CHUNK_COLUMNS = 128;

/** The plan by shifted sums, where it is possible and worth it. */
function shifted(p: Product): Plan | undefined {
  const taps = volume(p.taps);
  const spread = volume(p.divisor) > 1;
  if (volume(p.multiplier) !== 1) return undefined;
  // The other ways multiply the zeros between the numbers of a gradient that is spread by a stride.
  if (!spread && (taps === 1 || p.channels < 4 * p.rows)) return undefined;
  // Strips are cut along the depth, so an image's height takes its place.
  const flat =
    p.sourceGrid[0] === 1 && p.columnsGrid[0] === 1 && p.taps[0] === 1 && p.padding[0] === 0;
  const turn = (t: Triple): Triple => (flat ? [t[1], t[0], t[2]] : t);
  const output = turn(p.columnsGrid);
  const source = turn(p.sourceGrid);
  const divisor = turn(p.divisor);
  const tapsGrid = turn(p.taps);
  const batch = p.columns / volume(output);
  const rows = p.rows * taps;
  const sliceBytes = 4 * rows * source[1] * source[2];
  if (sliceBytes > MOST_SLICE_BYTES) return undefined;
  const most = Math.floor(SPREAD_BYTES / sliceBytes);
  const fitting = spread ? most : Math.floor(SHIFT_BYTES / sliceBytes);
  const worthwhile = Math.min(most, Math.ceil(LEAST_CHUNK_COLUMNS / (source[1] * source[2])));
  const slices = Math.max(1, fitting, worthwhile);
  const whole = slices >= source[0];
  const chunkSamples = whole ? Math.min(batch, Math.floor(slices / source[0])) : 1;
  // Of an input gradient's weights all rows of the product are neighbours, if the taps are not counted backwards.
  const backwards = p.aTap === -1 && p.aRow === taps;
  const positions = volume(source);
  const line: Triple = [1, 1, positions];
  return {
    product: {
      ...p,
      ...(backwards ? { a: p.a - 4 * (taps - 1), aRow: 1 } : { aRowTaps: taps, aRowTap: p.aTap }),
      aTap: p.aChannel,
      aChannel: 0,
      aTaps: p.channels,
      columnsGrid: line,
      sourceGrid: line,
      taps: ONES,
      divisor: ONES,
      padding: ZEROS,
      cSample: 0,
      cColumns: batch * positions,
      rows,
      columns: batch * positions,
      depth: p.channels,
      bias: 0,
      relu: false,
      mask: 0,
    },
    shift: {
      y: p.c,
      bias: p.bias,
      relu: p.relu,
      mask: p.mask,
      batch,
      rows: p.rows,
      backwards,
      output,
      source,
      taps: tapsGrid,
      divisor,
      padding: turn(p.padding),
      chunkSamples,
      chunkSlices: slices,
      partialBytes: sliceBytes * (whole ? chunkSamples * source[0] : slices),
    },
  };
}
