/** Curves: what came out at each step, setting or number of samples. */
import {
  requireBetween,
  requireBoolean,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import type { Figure } from './figure.ts';
import { type Axis, type FrameOptions, framed, frameNames, requireFrame } from './frame.ts';
import type { LegendEntry } from './legend.ts';
import { requireNumberList } from './numbers.ts';
import { widthOf } from './svg.ts';
import { colors, fontSize, softInk } from './theme.ts';

/** One curve. */
export interface Series {
  /** In the legend. Default: the curve is in none. */
  readonly name?: string;
  /** Values that are not finite leave a gap. */
  readonly y: ArrayLike<number>;
  /** Default: 1, 2, 3, … */
  readonly x?: ArrayLike<number>;
  /** Draws the mean over so many steps around each one, and what it averages behind it. */
  readonly smooth?: number;
  /** Shaded between these, such as an interval or the least and the largest of several runs. */
  readonly band?: { readonly low: ArrayLike<number>; readonly high: ArrayLike<number> };
  /** Dots in place of a line. Default: false. */
  readonly points?: boolean;
  /** Default: false. */
  readonly dashed?: boolean;
  /** Default: the next of seven. */
  readonly color?: string;
}

/** A dashed line across the plot: at a height, at a place, or where y = x. Labels of heights are beside it. */
export type Reference = (
  | { readonly y: number }
  | { readonly x: number }
  | { readonly diagonal: true }
) & { readonly label?: string };

/** What is drawn. */
export interface CurvesOptions extends FrameOptions {
  readonly series: readonly Series[];
  readonly references?: readonly Reference[];
  /** The part of all values that the height covers, from the lowest on; those above are cut off. Default: 1. */
  readonly clip?: number;
}

/**
 * Curves in one plot.
 *
 * @throws ValueError for options that do not fit; ShapeError where lists differ in length.
 * @example
 * curves({
 *   title: 'Training loss',
 *   series: [{ name: 'training', y: losses, smooth: 30 }],
 *   references: [{ y: 2.1, label: 'test 2.100' }],
 *   x: { label: 'step' },
 *   y: { label: 'bits per dimension', scale: 'log' },
 * });
 */
export function curves(options: CurvesOptions): Figure {
  check(options);
  const { series, references = [] } = options;
  const drawn = series.map((one, i) => ({
    ...one,
    x: one.x ?? Float64Array.from(one.y, (_, at) => at + 1),
    color: one.color ?? colors[i % colors.length]!,
  }));
  const ranges = {
    x: options.x?.range ?? widths(drawn, options),
    y: options.y?.range ?? padded(heights(options), options.y),
  };
  const marks = [
    drawn.map(bandMark),
    references.map((reference) => referenceMark(reference, ranges)),
    drawn.map(seriesMarks),
  ];
  const entries: LegendEntry[] = [
    ...drawn.map(({ name, color, dashed, points }) => {
      const sample = points ? ('dot' as const) : dashed ? ('dashes' as const) : ('line' as const);
      return { name: name ?? '', color, sample };
    }),
    // Labels of heights stand at the end of their lines.
    ...references
      .filter((reference) => !('y' in reference))
      .map(({ label = '' }) => ({ name: label, color: softInk, sample: 'dashes' as const })),
  ].filter(({ name }) => name !== '');
  const beside = references.map((one) => ('y' in one ? widthOf(one.label ?? '') : 0));
  const marginRight = 14 + Math.max(0, ...beside);
  return framed(marks, { options, ranges, entries, marginRight });
}

type Drawn = Series & { readonly x: ArrayLike<number>; readonly color: string };

function bandMark({ band, x, color }: Drawn): Plot.Markish {
  if (!band) return null;
  const low = Array.from(band.low);
  const channels = { x: Array.from(x), y1: low, y2: Array.from(band.high) };
  return Plot.areaY(low, { ...channels, fill: color, fillOpacity: 0.2, clip: true });
}

function seriesMarks({ x, y, smooth, points = false, dashed = false, color }: Drawn): Plot.Markish {
  const at = { x: Array.from(x), clip: true };
  const values = Array.from(y);
  if (points) return Plot.dot(values, { ...at, y: values, r: 2.5, fill: color });
  const dash = dashed ? { strokeDasharray: '4 3' } : {};
  const line = (of: number[], strokeWidth: number, strokeOpacity = 1) =>
    Plot.line(of, { ...at, y: of, stroke: color, strokeWidth, strokeOpacity, ...dash });
  if (smooth === undefined) return line(values, 1.75);
  return [line(values, 1, 0.3), line(smoothed(values, smooth), 1.75)];
}

function referenceMark(
  reference: Reference,
  { x, y }: { readonly x: readonly [number, number]; readonly y: readonly [number, number] },
): Plot.Markish {
  const look = { stroke: softInk, strokeDasharray: '4 3', strokeWidth: 1, clip: true };
  if ('x' in reference) return Plot.ruleX([reference.x], look);
  if ('diagonal' in reference) {
    const ends = [Math.max(x[0], y[0]), Math.min(x[1], y[1])];
    return Plot.line(ends, { x: ends, y: ends, ...look });
  }
  const label = reference.label === undefined ? [] : [reference.label];
  const place = { y: [reference.y], frameAnchor: 'right', textAnchor: 'start', dx: 5 } as const;
  return [Plot.ruleY([reference.y], look), Plot.text(label, { ...place, fill: softInk, fontSize })];
}

/** The mean over the steps around each one, fewer at the ends, so that nothing is moved along. */
function smoothed(values: readonly number[], steps: number): number[] {
  const sums = [0];
  const counts = [0];
  for (const [i, value] of values.entries()) {
    const known = Number.isFinite(value);
    sums.push(sums[i]! + (known ? value : 0));
    counts.push(counts[i]! + (known ? 1 : 0));
  }
  return values.map((_, i) => {
    const side = Math.min(Math.floor(steps / 2), i, values.length - 1 - i);
    const [from, to] = [i - side, i + side + 1];
    return (sums[to]! - sums[from]!) / (counts[to]! - counts[from]!);
  });
}

/** What the width has to cover; dots want room around them. */
function widths(drawn: readonly Drawn[], { references = [], x }: CurvesOptions): [number, number] {
  const covered = extent(
    drawn.map((one) => one.x),
    referencesOf(references, 'x'),
    x,
  );
  return drawn.some(({ points }) => points) ? padded(covered, x) : covered;
}

/** What the height has to cover: values up to the part that is kept, bands and references. */
function heights({ series, references = [], clip = 1, y }: CurvesOptions): [number, number] {
  const finite = series
    .flatMap((one) => Array.from(one.y))
    .filter((v) => Number.isFinite(v) && (y?.scale !== 'log' || v > 0))
    .sort((a, b) => a - b);
  const kept = finite.slice(0, Math.max(1, Math.ceil(clip * finite.length)));
  const bands = series.flatMap(({ band }) => (band ? [band.low, band.high] : []));
  return extent([kept, ...bands], referencesOf(references, 'y'), y);
}

function referencesOf(references: readonly Reference[], side: 'x' | 'y'): number[] {
  return references.flatMap((one) => {
    const place = side === 'x' ? 'x' in one && one.x : 'y' in one && one.y;
    return place === false ? [] : [place];
  });
}

function extent(
  lists: readonly ArrayLike<number>[],
  others: number[],
  axis: Axis | undefined,
): [number, number] {
  const log = axis?.scale === 'log';
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const list of [...lists, others]) {
    for (let i = 0; i < list.length; i++) {
      // A logarithmic axis has no place for 0 and less.
      if (!Number.isFinite(list[i]) || (log && list[i]! <= 0)) continue;
      low = Math.min(low, list[i]!);
      high = Math.max(high, list[i]!);
    }
  }
  if (low === high) return log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  if (low < high) return [low, high];
  return log ? [1, 10] : [0, 1];
}

/** With a little room at both ends. */
function padded([low, high]: [number, number], axis: Axis | undefined): [number, number] {
  if (axis?.scale !== 'log') return [low - 0.04 * (high - low), high + 0.04 * (high - low)];
  const room = (high / low) ** 0.04;
  return [low / room, high * room];
}

function check(options: CurvesOptions): void {
  const op = 'curves';
  requireOptions(op, options, [...frameNames, 'series', 'references', 'clip']);
  requireFrame(op, options);
  const { series, references = [], clip = 1 } = options;
  requireList(op, 'series', series, 'a list of series');
  requireList(op, 'references', references, 'a list of references');
  if (clip !== 1) requireBetween(op, 'clip', clip, 0, 1);
  const names = ['name', 'x', 'y', 'smooth', 'band', 'points', 'dashed', 'color'];
  for (const [i, one] of series.entries()) {
    const where = `${op}: series[${i}]`;
    requireOptions(where, one, names);
    if (one.smooth !== undefined) requireWhole(where, 'smooth', one.smooth, 1);
    requireNumberList(where, 'y', one.y);
    requireBoolean(where, 'points', one.points ?? false);
    requireBoolean(where, 'dashed', one.dashed ?? false);
    for (const [name, list] of Object.entries({ x: one.x, ...one.band })) {
      if (list === undefined) continue;
      requireNumberList(where, name, list);
      if (list.length === one.y.length) continue;
      throw new ShapeError(
        `${where}: ${name} has ${list.length} numbers; expected ${one.y.length}, one for each y.`,
      );
    }
  }
  for (const [i, one] of references.entries()) {
    requireOptions(`${op}: references[${i}]`, one, ['x', 'y', 'diagonal', 'label']);
    if (['x', 'y', 'diagonal'].filter((name) => name in one).length !== 1) {
      throw new ValueError(`${op}: references[${i}] needs one of x, y and diagonal.`);
    }
  }
}
