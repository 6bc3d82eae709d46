/**
 * Images side by side: under one scale of values with one bar, as gathers with wiggles, as maps of classes.
 *
 * Left out: interpolation, since a reader should see the pixels that there are.
 */
import {
  requireAtLeast,
  requireBetween,
  requireBoolean,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  ValueError,
} from '@invnet/tensor';
import * as Plot from '@observablehq/plot';
import { horizontalBar, upright, verticalBar } from './color-bar.ts';
import { colorScale, requireScale, type Scale } from './color-scale.ts';
import { Figure } from './figure.ts';
import { coloredClasses, type LabelClass } from './labels.ts';
import { legend } from './legend.ts';
import { checkPanel, type Panel, picture } from './panel.ts';
import { moved, plotted, text, widthOf } from './svg.ts';
import { fontSize, smallSize, softInk } from './theme.ts';

/** An axis along all panels. */
export interface PanelAxis {
  /** Where the first pixel begins and the last one ends. */
  readonly range: readonly [number, number];
  readonly label?: string;
}

/** How panels are laid out. */
export interface PanelsOptions {
  /** Of all panels that have none of their own. */
  readonly scale?: Scale;
  readonly title?: string;
  /** Panels in a row. Default: all of them. */
  readonly columns?: number;
  /** Width of a panel. Default: 150. */
  readonly size?: number;
  /** Height of a panel over its width. Default: that of the image, for square pixels. */
  readonly aspect?: number;
  /** Between panels. Default: 8, or 24 with numbers along `x`. */
  readonly gap?: number;
  /** Shows the bar of the scale that panels share. Default: true. */
  readonly bar?: boolean;
  readonly x?: PanelAxis;
  /** Its range runs from the top down. */
  readonly y?: PanelAxis;
  /** What the numbers in `labels` stand for; they are named below the panels. */
  readonly classes?: readonly LabelClass[];
  /** Of labels over an image, from 0 to 1. Default: 0.5. */
  readonly opacity?: number;
}

/**
 * Images in rows. Those with `values` share one scale and one bar, so equal colours are equal values,
 * but for panels with a scale of their own, whose bar is below them.
 *
 * @throws ValueError for options that do not fit; ShapeError for data that are not one value a pixel.
 * @example
 * const size = { height: 128, width: 128 };
 * panels(
 *   [
 *     { ...size, title: 'truth', values: truth },
 *     { ...size, title: 'total variation', note: '24.9 dB', values: tv },
 *     { ...size, title: 'error', gain: 5, values: error, scale: { palette: 'diverging' } },
 *   ],
 *   { scale: { range: [0, 1], label: 'magnitude' } },
 * );
 */
export function panels(list: readonly Panel[], options: PanelsOptions = {}): Figure {
  check(list, options);
  const { columns = list.length, size = 150, bar = true, opacity = 0.5, title } = options;
  // Numbers at the ends of neighbouring axes need room.
  const { gap = options.x ? 24 : 8 } = options;
  const shared = list.filter((panel) => panel.values && !panel.scale);
  const common = colorScale(options.scale ?? {}, shownValues(shared));
  const classes = coloredClasses('panels', options.classes ?? []);
  const scaleOf = (panel: Panel) =>
    panel.scale ? colorScale(panel.scale, shownValues([panel])) : common;
  const heightOf = (panel: Panel) => size * (options.aspect ?? panel.height / panel.width);
  const axes = axesRoom(options);

  const parts: string[] = [];
  let y = 0;
  for (let first = 0; first < list.length; first += columns) {
    const row = list.slice(first, first + columns);
    if (first > 0) y += gap;
    y += Math.max(...row.map(headingHeight));
    const tallest = Math.max(...row.map(heightOf));
    const noted = row.some(({ note }) => note !== undefined);
    let below = 0;
    for (const [i, panel] of row.entries()) {
      const x = axes.left + i * (size + gap);
      const height = heightOf(panel);
      const scale = scaleOf(panel);
      const box = { width: size, height };
      const sides = { left: i === 0, bottom: first + i + columns >= list.length };
      parts.push(
        moved(
          x,
          y,
          heading(panel, { width: size, noted }) + picture(panel, { scale, classes, opacity, box }),
        ),
      );
      parts.push(moved(x, y, axesOf(options, box, sides)));
      const under = height + (sides.bottom ? axes.bottom : 0);
      below = Math.max(below, under - tallest);
      if (!panel.scale) continue;
      // Shorter than the panel, so that numbers at the ends of neighbouring bars keep apart.
      const own = horizontalBar(scale, 0.86 * size);
      parts.push(moved(x + 0.07 * size, y + under + 6, own.content));
      below = Math.max(below, under + 6 + own.across - tallest);
    }
    y += tallest + below;
  }
  let width = axes.left + Math.min(columns, list.length) * (size + gap) - gap;
  const gridWidth = width;
  if (bar && shared.length > 0) {
    const top = Math.max(...list.slice(0, columns).map(headingHeight));
    const length = Math.min(
      400,
      columns >= list.length ? heightOf(shared[0]!) : y - top - axes.bottom,
    );
    const own = verticalBar(common, length);
    parts.push(moved(width + 10, top, own.content));
    width += 10 + own.across;
  }
  if (classes.length > 0) {
    const names = legend(
      classes.map(({ name, color }) => ({ name, color, sample: 'square' as const })),
      { width: gridWidth },
    );
    parts.push(moved(0, y + 8, names.content));
    y += 8 + names.height;
  }
  const edge = 6;
  const content = moved(edge, edge, parts.join(''));
  return new Figure({ width: width + 2 * edge, height: y + 2 * edge, content, title });
}

/** Title and note above a panel, whose upper left corner is the origin; titles of a row are at one height. */
function heading(
  { title, note, gain = 1 }: Panel,
  { width, noted }: { readonly width: number; readonly noted: boolean },
): string {
  const name = gain === 1 ? (title ?? '') : `${title ?? ''} × ${gain}`.trim();
  const fitted = (content: string, size: number) =>
    Math.min(size, Math.max(7, (size * width) / widthOf(content, size)));
  const lines = [];
  if (name !== '') {
    const y = noted ? -18 : -6;
    lines.push(text(width / 2, y, name, { 'font-size': fitted(name, fontSize) }));
  }
  if (note !== undefined) {
    const look = { 'font-size': fitted(note, smallSize), fill: softInk };
    lines.push(text(width / 2, -5, note, look));
  }
  return lines.join('');
}

function headingHeight({ title, note, gain = 1 }: Panel): number {
  return (title !== undefined || gain !== 1 ? 18 : 0) + (note === undefined ? 0 : 13);
}

function* shownValues(list: readonly Panel[]): Iterable<number> {
  for (const { values, gain = 1 } of list) {
    for (let i = 0; i < values!.length; i++) yield gain * values![i]!;
  }
}

/** The room that axes take beside the first column and below the last row. */
function axesRoom({ x, y }: PanelsOptions): { left: number; bottom: number } {
  const room = (axis: PanelAxis | undefined, ticks: number) =>
    axis ? ticks + (axis.label === undefined ? 0 : 14) : 0;
  return { left: room(y, 30), bottom: room(x, 18) };
}

/** The axes of a panel, whose upper left corner is the origin. */
function axesOf(
  { x, y }: PanelsOptions,
  box: { readonly width: number; readonly height: number },
  sides: { readonly left: boolean; readonly bottom: boolean },
): string {
  const look = { label: null, tickSize: 3, fontSize: smallSize };
  const spacing = (length: number) => Math.max(2, Math.round(length / 40));
  const parts: string[] = [];
  if (x && sides.bottom) {
    const scale = { domain: [...x.range], axis: null };
    const marks = [Plot.axisX({ ...look, ticks: spacing(box.width) })];
    parts.push(plotted({ ...box, margin: 0, x: scale, marks }));
    if (x.label !== undefined) {
      const size = { 'font-size': smallSize };
      parts.push(text(box.width / 2, box.height + 30, x.label, size));
    }
  }
  if (y && sides.left) {
    const scale = { domain: [...y.range], axis: null, reverse: true };
    const marks = [Plot.axisY({ ...look, ticks: spacing(box.height) })];
    parts.push(plotted({ ...box, margin: 0, y: scale, marks }));
    if (y.label !== undefined) parts.push(upright(-34, box.height / 2, y.label));
  }
  return parts.join('');
}

function check(list: readonly Panel[], options: PanelsOptions): void {
  const op = 'panels';
  requireList(op, 'list', list, 'a list of panels');
  if (list.length === 0) throw new ValueError('panels: the list is empty; expected a panel.');
  const names = ['scale', 'title', 'columns', 'size', 'aspect', 'gap', 'bar', 'x', 'y'];
  requireOptions(op, options, [...names, 'classes', 'opacity']);
  const { columns = 1, size = 1, aspect = 1, gap = 0, bar = true, opacity = 0.5 } = options;
  requireWhole(op, 'columns', columns, 1);
  requireBetween(op, 'size', size, 0);
  requireBetween(op, 'aspect', aspect, 0);
  requireAtLeast(op, 'gap', gap, 0);
  requireBoolean(op, 'bar', bar);
  requireBetween(op, 'opacity', opacity, 0, 1);
  if (options.scale) requireScale(op, options.scale);
  for (const [name, axis] of Object.entries({ x: options.x, y: options.y })) {
    if (!axis) continue;
    requireOptions(`${op}: ${name}`, axis, ['range', 'label']);
    for (const end of axis.range) requireFinite(op, `${name}.range`, end);
  }
  for (const [i, panel] of list.entries()) checkPanel(`panels: list[${i}]`, panel);
}
