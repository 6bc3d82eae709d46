/**
 * Runs convolutions and filter gradients by Winograd's method (assembly/winograd.ts, assembly/gradients.ts): lays
 * out their scratch, writes their plans where the kernels read them, and starts them.
 */
import {
  CACHE_LINE_BYTES,
  COSTLY_ELEMENTS,
  proportionalRanges,
  ranges,
  sharesOf,
} from './parts.ts';
import { blocking, evenly, MAX_DEPTH, PLAN_BYTES, type Product } from './product.ts';
import { type Runtime, wholeLines } from './runtime.ts';
import type { Winograd, WinogradGrad } from './ways.ts';

/** Tiles of a group of Winograd's method, columns that they cover, bytes of its place, and of what is inside. */
const GROUP = 4;
const GROUP_COLUMNS = 8;
const PLACE_BYTES = 32;
const INSIDE_BYTES = 192;
/** A line of the cache behind each of 16 planes. */
const PLANES_APART_BYTES = 16 * CACHE_LINE_BYTES;
/** Rows of the widest tile of inner products. */
const SLICE_ROWS = 8;
/** Vectors that a filter takes which is transformed back. */
const FILTER_VECTORS = 12;

/** y of a convolution, or dx, as the product describes it. */
export function runWinograd(r: Runtime, p: Product, { tileRows, mostGroups }: Winograd): void {
  const groupsPerPanel = r.tile.columns / GROUP;
  const blockGroups = groupsPerPanel * Math.max(1, Math.floor(mostGroups / groupsPerPanel));
  const { panelRows } = blocking(p, r.tile);
  const numbers = 256 * blockGroups;
  // The start is for the plan of a product.
  const inputs = PLAN_BYTES;
  const outputs = inputs + numbers * p.channels + PLANES_APART_BYTES;
  const insides = outputs + numbers * p.rows + PLANES_APART_BYTES;
  const places = insides + INSIDE_BYTES * blockGroups;
  const own = places + PLACE_BYTES * blockGroups;
  // A part that fills no panel reads all filters for the sake of less.
  const perRow = Math.ceil(p.columnsGrid[2] / GROUP_COLUMNS);
  const parts = proportionalRanges(tileRows, sharesOf(r, p), Math.ceil(groupsPerPanel / perRow));
  const run = (filters: number) => {
    const desk = r.desk(PLAN_BYTES);
    const [, sourceH, sourceW] = p.sourceGrid;
    const [, outputH, outputW] = p.columnsGrid;
    r.write(
      [
        ...[p.a, p.aRow, p.aChannel, p.aTap],
        ...[p.source, p.channels, sourceH, sourceW, p.padding[1], p.padding[2]],
        ...[p.c, p.rows, outputH, outputW, p.bias, p.relu ? 1 : 0, p.mask],
        ...[filters, inputs, outputs, insides, places, panelRows, blockGroups],
        evenly(p.channels, MAX_DEPTH, 4),
      ],
      desk,
    );
    const threads = r.threads(p.rows * p.channels, COSTLY_ELEMENTS);
    r.start(
      'winogradFilters',
      ranges(p.rows, threads, panelRows).map((rows) => [desk, ...rows]),
    );
    r.start(
      'winograd',
      parts.map((range) => [desk, ...range]),
    );
  };
  const bytes = 64 * p.rows * p.channels + PLANES_APART_BYTES;
  r.inScratch(bytes, run, { own, users: parts.length });
}

/** A filter gradient, as the product describes it: its A is dy and its source x, or the other way round. */
export function runWinogradGrad(
  r: Runtime,
  p: Product,
  { tileRows, partRows, parts, blockGroups }: WinogradGrad,
): void {
  // An odd number of lines of the cache from channel to channel, so that they do not share sets.
  const lineBytes = wholeLines(16 * blockGroups) | CACHE_LINE_BYTES;
  const planes = (channels: number) => 16 * lineBytes * channels + PLANES_APART_BYTES;
  const vector = r.kernels.vectorBytes();
  const inputs = PLAN_BYTES;
  const grads = inputs + planes(p.channels);
  const insides = grads + planes(p.rows);
  const places = insides + INSIDE_BYTES * blockGroups;
  const joined = places + PLACE_BYTES * blockGroups;
  const own = joined + vector * Math.max(FILTER_VECTORS, 2 * blockGroups);
  const pitch = wholeLines(16 * 4 * p.rows * 4 * Math.ceil(p.channels / 4)) + CACHE_LINE_BYTES;
  // More threads than parts share them, each with rows of its own: whole tiles of them.
  const cuts = sharesOf(r, p);
  const threads = cuts.length === 1 ? 1 : r.threads(1, 1);
  const slices = ranges(p.rows, Math.ceil(threads / parts), SLICE_ROWS);
  const jobs = proportionalRanges(parts, cuts).flatMap((range) =>
    slices.map((rows) => [...range, ...rows]),
  );
  const back = ranges(p.rows, r.threads(16 * p.rows * p.channels, COSTLY_ELEMENTS));
  // cSample is 0 where x is unrolled, whose channels lie nine taps apart.
  const perChannel = p.cSample === 0 ? 9 : p.cSample;
  const run = (sums: number) => {
    const x = r.desk(PLAN_BYTES);
    const [, sourceH, sourceW] = p.sourceGrid;
    const [, outputH, outputW] = p.columnsGrid;
    // What only convolutions need is 0.
    const plan = (of: readonly number[], transformed: number, address: number) =>
      r.write(
        [
          ...[0, 0, 0, 0, ...of],
          ...[0, 0, outputH, outputW, 0, 0, 0],
          ...[0, transformed, 0, insides, places, 0, blockGroups, 0],
        ],
        address,
      );
    const patches = [p.source, p.channels, sourceH, sourceW, p.padding[1], p.padding[2]];
    const dy = plan(patches, inputs, x);
    const grad = plan([p.a, p.rows, outputH, outputW, 0, 0], grads, dy);
    r.write(
      [
        ...[lineBytes, joined, sums, pitch, parts, partRows, tileRows],
        ...[p.c, p.cRow, perChannel, p.cColumn],
      ],
      grad,
    );
    r.start(
      'winogradGrad',
      jobs.map((job) => [x, dy, grad, ...job]),
    );
    r.start(
      'winogradGradBack',
      back.map((rows) => [x, dy, grad, ...rows]),
    );
  };
  r.inScratch(parts * pitch, run, { own, users: Math.max(jobs.length, back.length) });
}
