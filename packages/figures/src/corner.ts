/**
 * Samples of several numbers, all pairs of them: what posteriors are looked at by. Regions are those of highest density
 * of a smoothed histogram.
 *
 * Left out: densities that are known, since a corner is of what was drawn.
 */
import {
  formatShape,
  formatValue,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { components } from './color-scale.ts';
import { Figure } from './figure.ts';
import { type LegendEntry, legend } from './legend.ts';
import { requireNumberList } from './numbers.ts';
import { rasterImage } from './raster.ts';
import { element, moved, plotted } from './svg.ts';
import { colors, fontSize, ink, smallSize } from './theme.ts';

/** Samples [N, D], as a tensor's data or a posterior gives them. */
export interface SampleSet {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  /** In the legend. Default: they are in none. */
  readonly name?: string;
}

/** What is drawn. */
export interface CornerOptions {
  /** Of one length of samples each; up to seven. */
  readonly sets: readonly SampleSet[];
  /** Of the D numbers. Default: θ1, θ2, … */
  readonly names?: readonly string[];
  /** A point that is marked everywhere. */
  readonly truth?: ArrayLike<number>;
  readonly title?: string;
  /** Of a panel. Default: 120. */
  readonly size?: number;
}

/** Sizes beyond would be no picture any more. */
const most = 12;
const bins = 40;
const gap = 6;
const [left, bottom] = [56, 48];
/** Which part of the samples is within each line. */
const regions = [0.5, 0.9];

/**
 * A corner of panels: histograms of each number on the diagonal, and below it for each pair the regions of highest density that
 * hold 50 % and 90 % of the samples.
 *
 * @throws ValueError without samples, for numbers that are not finite, and for more than 12 in a sample. @throws ShapeError
 * for samples of other lengths than the names or the truth.
 * @example
 * corner({ sets: [{ name: 'posterior', ...samples }], names: ['mass', 'spin'], truth: [1.2, 0.4] });
 */
export function corner(options: CornerOptions): Figure {
  const size = check(options);
  const { sets, truth, title, size: side = 120 } = options;
  const names = options.names ?? Array.from({ length: size }, (_, d) => `θ${d + 1}`);
  const ranges = names.map((_, d) =>
    rangeOf(
      sets.map((set) => columnOf(set, d)),
      truth?.[d],
    ),
  );
  const parts: string[] = [];
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      const marks =
        row === column
          ? diagonalMarks(sets, ranges[row]!, { d: row, truth })
          : pairMarks(sets, { x: ranges[column]!, y: ranges[row]! }, { column, row, truth });
      const outer = { left: column === 0 && row > 0, bottom: row === size - 1 };
      const axes = {
        x: { range: ranges[column]!, label: names[column]! },
        y: { range: ranges[row]!, label: names[row]! },
      };
      const at = [left + column * (side + gap), row * (side + gap)] as const;
      if (row > column && sets.length === 1) {
        const box = { x: at[0], y: at[1], width: side, height: side };
        parts.push(
          shading(sets[0]!, { x: ranges[column]!, y: ranges[row]! }, { column, row, box }),
        );
      }
      parts.push(
        moved(
          at[0] - (outer.left ? left : 0),
          at[1],
          panel(marks, { side, outer, axes, row, column }),
        ),
      );
    }
  }
  const width = left + size * (side + gap) + 6;
  const entries: LegendEntry[] = [
    ...sets.flatMap(({ name }, i) => (name === undefined ? [] : [{ name, color: colors[i]! }])),
    ...(truth ? [{ name: 'truth', color: ink, sample: 'dashes' as const }] : []),
  ];
  const key = legend(entries, { width: width - 16 });
  const above = entries.length > 0 ? key.height + 6 : 0;
  const content = (above ? moved(8, 2, key.content) : '') + moved(0, above, parts.join(''));
  return new Figure({ width, height: above + size * (side + gap) + bottom, content, title });
}

type Range = readonly [number, number];

interface Grid {
  readonly column: number;
  readonly row: number;
}

/** A plot without margins but for the outer axes. */
function panel(
  marks: Plot.Markish[],
  how: {
    readonly side: number;
    readonly outer: { readonly left: boolean; readonly bottom: boolean };
    readonly axes: {
      readonly x: { readonly range: Range; readonly label: string };
      readonly y: { readonly range: Range; readonly label: string };
    };
  } & Grid,
): string {
  const { side, outer, axes } = how;
  const look = {
    tickSize: 3,
    tickSpacing: 55,
    fontSize: smallSize,
    labelAnchor: 'center',
    labelArrow: 'none',
  } as const;
  const label = { fontSize, fontWeight: 600 };
  return plotted({
    width: side + (outer.left ? left : 0),
    height: side + (outer.bottom ? bottom : 0),
    marginTop: 0,
    marginRight: 0,
    marginBottom: outer.bottom ? bottom : 0,
    marginLeft: outer.left ? left : 0,
    x: { domain: [...axes.x.range], axis: null },
    y: how.row === how.column ? { axis: null } : { domain: [...axes.y.range], axis: null },
    marks: [
      marks,
      Plot.frame({ stroke: ink, strokeWidth: 0.75 }),
      outer.bottom ? Plot.axisX({ ...look, label: null }) : null,
      outer.bottom
        ? Plot.text([axes.x.label], {
            frameAnchor: 'bottom',
            dy: 38,
            lineAnchor: 'bottom',
            fill: ink,
            ...label,
          })
        : null,
      outer.left ? Plot.axisY({ ...look, label: null }) : null,
      outer.left
        ? Plot.text([axes.y.label], {
            frameAnchor: 'left',
            dx: -44,
            rotate: -90,
            textAnchor: 'middle',
            fill: ink,
            ...label,
          })
        : null,
    ],
  });
}

function diagonalMarks(
  sets: readonly SampleSet[],
  range: Range,
  { d, truth }: { readonly d: number; readonly truth: ArrayLike<number> | undefined },
): Plot.Markish[] {
  const highest: number[] = [];
  const curves = sets.map((set, i) => {
    const counts = new Float64Array(bins);
    for (const value of columnOf(set, d)) {
      const bin = binOf(value, range);
      if (bin !== undefined) counts[bin]! += 1 / set.shape[0]!;
    }
    const heights = smooth(counts, 1);
    highest.push(Math.max(...heights));
    const at = { x: middles(range), y: Array.from(heights) };
    return [
      Plot.areaY(at.y, { ...at, fill: colors[i]!, fillOpacity: sets.length > 1 ? 0.12 : 0.25 }),
      Plot.line(at.y, { ...at, stroke: colors[i]!, strokeWidth: 1.5 }),
    ];
  });
  // Room above, so that the curve keeps clear of the frame.
  const room = Plot.ruleY([1.1 * Math.max(...highest)], { strokeOpacity: 0 });
  return [...curves.flat(), room, truth ? mark('x', truth[d]!) : null];
}

function pairMarks(
  sets: readonly SampleSet[],
  { x, y }: { readonly x: Range; readonly y: Range },
  { column, row, truth }: Grid & { readonly truth: ArrayLike<number> | undefined },
): Plot.Markish[] {
  const lines = sets.map((set, i) => {
    const density = densityOf(set, { x, y }, { column, row });
    return Plot.contour(density, {
      ...{ width: bins, height: bins, x1: x[0], x2: x[1], y1: y[0], y2: y[1] },
      value: Plot.identity,
      thresholds: thresholdsOf(density),
      stroke: colors[i]!,
      strokeWidth: 1.25,
      clip: true,
    });
  });
  return [...lines, ...(truth ? [mark('x', truth[column]!), mark('y', truth[row]!)] : [])];
}

function mark(axis: 'x' | 'y', value: number): Plot.Markish {
  const look = { stroke: ink, strokeWidth: 1, strokeDasharray: '3 2', clip: true };
  return axis === 'x' ? Plot.ruleX([value], look) : Plot.ruleY([value], look);
}

/** The density as pixels of one colour, the more opaque the higher. */
function shading(
  set: SampleSet,
  ranges: { readonly x: Range; readonly y: Range },
  {
    column,
    row,
    box,
  }: Grid & { readonly box: { x: number; y: number; width: number; height: number } },
): string {
  const density = densityOf(set, ranges, { column, row });
  const highest = Math.max(...density);
  const rgba = new Uint8Array(4 * bins * bins);
  const [r, g, b] = components(colors[0]);
  for (let j = 0; j < bins; j++) {
    for (let i = 0; i < bins; i++) {
      // Rows of pixels run from the top down.
      const opacity = 0.75 * (density[(bins - 1 - j) * bins + i]! / highest) ** 0.7;
      rgba.set([r!, g!, b!, Math.round(255 * opacity)], 4 * (j * bins + i));
    }
  }
  return element('g', {}, rasterImage({ width: bins, height: bins, rgba }, box));
}

/** A histogram of pairs, smoothed, [bins, bins], row by row from the lowest y on. */
function densityOf(
  set: SampleSet,
  { x, y }: { readonly x: Range; readonly y: Range },
  { column, row }: Grid,
): Float64Array {
  const counts = new Float64Array(bins * bins);
  const [xs, ys] = [columnOf(set, column), columnOf(set, row)];
  for (let n = 0; n < xs.length; n++) {
    const [i, j] = [binOf(xs[n]!, x), binOf(ys[n]!, y)];
    if (i !== undefined && j !== undefined) counts[j * bins + i]! += 1;
  }
  const rows = Float64Array.from(counts);
  for (let j = 0; j < bins; j++) {
    rows.set(smooth(counts.subarray(j * bins, (j + 1) * bins), 2), j * bins);
  }
  for (let i = 0; i < bins; i++) {
    const along = smooth(
      Float64Array.from({ length: bins }, (_, j) => rows[j * bins + i]!),
      2,
    );
    for (let j = 0; j < bins; j++) rows[j * bins + i] = along[j]!;
  }
  return rows;
}

/** Binomial smoothing, `times` over: weights ¼, ½, ¼, with what would go beyond the ends kept. */
function smooth(values: Float64Array, times: number): Float64Array {
  let from = values;
  for (let t = 0; t < times; t++) {
    const now = from;
    from = now.map(
      (v, i) => (now[Math.max(i - 1, 0)]! + 2 * v + now[Math.min(i + 1, now.length - 1)]!) / 4,
    );
  }
  return from;
}

/** Densities above which each region's part of the whole lies. */
function thresholdsOf(density: Float64Array): number[] {
  const sorted = density.slice().sort().reverse();
  const total = sorted.reduce((sum, v) => sum + v, 0);
  return regions.map((part) => {
    let sum = 0;
    const at = sorted.findIndex((v) => {
      sum += v;
      return sum >= part * total;
    });
    return sorted[at]!;
  });
}

function binOf(value: number, [low, high]: Range): number | undefined {
  const bin = Math.floor(((value - low) / (high - low)) * bins);
  return bin >= 0 && bin < bins ? bin : undefined;
}

function middles([low, high]: Range): number[] {
  return Array.from({ length: bins }, (_, i) => low + ((i + 0.5) / bins) * (high - low));
}

function columnOf({ shape, data }: SampleSet, d: number): Float64Array {
  return Float64Array.from({ length: shape[0]! }, (_, n) => data[n * shape[1]! + d]!);
}

/** What all samples but a few in a thousand cover, and the truth, with room at both ends. */
function rangeOf(columns: readonly Float64Array[], truth: number | undefined): Range {
  const ends = columns.flatMap((column) => {
    const sorted = column.slice().sort();
    return [0.002, 0.998].map((q) => sorted[Math.round(q * (sorted.length - 1))]!);
  });
  if (truth !== undefined) ends.push(truth);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  if (!Number.isFinite(1.2 * (high - low))) {
    throw new ValueError(`corner: samples go from ${low} to ${high}; expected a finite range.`);
  }
  const room = high > low ? 0.06 * (high - low) : 0.5;
  return [low - room, high + room];
}

/** How many numbers a sample has. */
function check(options: CornerOptions): number {
  const op = 'corner';
  requireOptions(op, options, ['sets', 'names', 'truth', 'title', 'size']);
  const { sets, names, truth, size = 120 } = options;
  requireWhole(op, 'size', size, 40, 1000);
  if (names !== undefined) requireList(op, 'names', names, 'a list of texts');
  for (const name of names ?? []) {
    if (typeof name === 'string') continue;
    throw new ValueError(`${op}: a name is ${formatValue(name)}; expected a text.`);
  }
  if (truth !== undefined) requireNumberList(op, 'truth', truth);
  for (const [d, value] of Array.from(truth ?? []).entries()) {
    requireFinite(op, `truth[${d}]`, value);
  }
  requireList(op, 'sets', sets, 'a list of samples');
  const columns = sets[0]?.shape?.[1];
  if (columns === undefined || sets.length > colors.length) {
    throw new ValueError(
      `${op}: there are ${sets.length} sets; expected 1 to ${colors.length}, each [N, D].`,
    );
  }
  requireWhole(op, 'the numbers of a sample', columns, 1, most);
  for (const [i, set] of sets.entries()) {
    requireOptions(`${op}: sets[${i}]`, set, ['shape', 'data', 'name']);
    requireList(op, `sets[${i}].shape`, set.shape, 'a shape, [N, D]');
    requireNumberList(op, `sets[${i}].data`, set.data);
    const [rows = 0, width] = set.shape;
    if (
      set.shape.length !== 2 ||
      width !== columns ||
      rows < 1 ||
      set.data.length !== rows * columns
    ) {
      throw new ShapeError(
        `${op}: sets[${i}] has ${set.data.length} numbers of shape ${formatShape(set.shape)}; expected [N, ${columns}].`,
      );
    }
    const bad = Array.from(set.data).find((value) => !Number.isFinite(value));
    if (bad === undefined) continue;
    throw new ValueError(`${op}: sets[${i}] holds ${formatValue(bad)}; expected finite numbers.`);
  }
  for (const [name, list] of Object.entries({ names, truth })) {
    if (list === undefined || list.length === columns) continue;
    throw new ShapeError(`${op}: ${name} has ${list.length} entries; expected ${columns}.`);
  }
  return columns;
}
