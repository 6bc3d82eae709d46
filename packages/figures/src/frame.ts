/** What curves and their kin share: a plot in a box, with axes, grid and names of lines above it. */
import { requireBetween, requireList, requireOneOf, requireOptions } from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { Figure } from './figure.ts';
import { type LegendEntry, legend } from './legend.ts';
import { moved, plotted, widestTick } from './svg.ts';
import { fontSize, gridInk, ink } from './theme.ts';

/** An axis of a plot. */
export interface Axis {
  readonly label?: string;
  /** Default: `'linear'`. */
  readonly scale?: 'linear' | 'log';
  /** Default: what the data cover. */
  readonly range?: readonly [number, number];
}

/** What every plot takes. */
export interface FrameOptions {
  readonly title?: string;
  readonly x?: Axis;
  readonly y?: Axis;
  /** Of the plot with its axes. Default: 420 by 280. */
  readonly width?: number;
  readonly height?: number;
}

/** Names of the options. */
export const frameNames = ['title', 'x', 'y', 'width', 'height'];

/** Beyond it there would be more ticks than anybody reads. */
const mostWide = 20_000;

/** @throws ValueError for axes or sizes that are none. */
export function requireFrame(op: string, options: FrameOptions): void {
  for (const [name, axis] of Object.entries({ x: options.x, y: options.y })) {
    if (!axis) continue;
    requireOptions(`${op}: ${name}`, axis, ['label', 'scale', 'range']);
    const { scale = 'linear', range } = axis;
    requireOneOf(op, `${name}.scale`, scale, ['linear', 'log']);
    if (range === undefined) continue;
    requireList(op, `${name}.range`, range, 'two numbers');
    requireBetween(op, `${name}.range[0]`, range[0], ...(scale === 'log' ? [0] : []));
    requireBetween(op, `${name}.range[1]`, range[1], range[0]);
  }
  requireBetween(op, 'width', options.width ?? 420, 100, mostWide);
  requireBetween(op, 'height', options.height ?? 280, 100, mostWide);
}

/** A plot of marks in a frame; the ranges of both axes are known. */
export function framed(
  marks: Plot.Markish[],
  {
    options,
    ranges,
    entries,
    marginRight,
  }: {
    readonly options: FrameOptions;
    readonly ranges: { readonly x: Range; readonly y: Range };
    readonly entries: readonly LegendEntry[];
    readonly marginRight: number;
  },
): Figure {
  const { width = 420, height = 280, title, x, y } = options;
  const [along, up] = [ticks(x, ranges.x, 60), ticks(y, ranges.y, 36)];
  const look = { tickSize: 4, fontSize, labelAnchor: 'center', labelArrow: 'none' } as const;
  const grid = { stroke: gridInk, strokeOpacity: 1 };
  const numbers = widestTick(ranges.y, fontSize) + 12;
  const plot = plotted({
    width,
    height,
    marginTop: 8,
    marginRight,
    marginBottom: x?.label === undefined ? 28 : 44,
    marginLeft: numbers + (y?.label === undefined ? 4 : 18),
    x: { type: x?.scale ?? 'linear', domain: [...ranges.x], axis: null },
    y: { type: y?.scale ?? 'linear', domain: [...ranges.y], axis: null },
    marks: [
      Plot.gridX({ ...grid, ...along }),
      Plot.gridY({ ...grid, ...up }),
      marks,
      Plot.frame({ stroke: ink, strokeWidth: 0.75 }),
      Plot.axisX({ ...look, ...along, label: x?.label ?? null, labelOffset: 38 }),
      Plot.axisY({ ...look, ...up, label: y?.label ?? null, labelOffset: numbers + 12 }),
    ],
  });
  const names = legend(entries, { width: width - 16 });
  const above = entries.length > 0 ? names.height + 2 : 0;
  const content = (above ? moved(8, 2, names.content) : '') + moved(0, above, plot);
  return new Figure({ width, height: height + above, content, title });
}

type Range = readonly [number, number];

/**
 * On a logarithmic axis 1, 2 and 5 in each decade, powers of ten where these were too many, and steps of one length
 * within a part of a decade.
 */
function ticks(axis: Axis | undefined, [low, high]: Range, tickSpacing: number) {
  if (axis?.scale !== 'log') return { tickSpacing };
  const within = (values: readonly number[]) => values.filter((v) => v >= low && v <= high);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const decades = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const some = within(decades.flatMap((d) => [1, 2, 5].map((m) => Number(`${m}e${d}`))));
  if (some.length > 9) {
    return { ticks: within(decades.map((d) => Number(`1e${d}`))), tickFormat: String };
  }
  return { ticks: some.length < 3 ? evenly(low, high) : some, tickFormat: String };
}

/** Multiples of 1, 2 or 5 times a power of ten, two to four of them. */
function evenly(low: number, high: number): number[] {
  const least = (high - low) / 4;
  const power = Math.floor(Math.log10(least));
  const digit = [1, 2, 5, 10].find((d) => Number(`${d}e${power}`) >= least)!;
  const [first, last] = [low, high].map((end) => end / Number(`${digit}e${power}`));
  const count = Math.floor(last!) - Math.ceil(first!) + 1;
  return Array.from({ length: count }, (_, i) =>
    Number(`${digit * (Math.ceil(first!) + i)}e${power}`),
  );
}
