/** One image of a figure: what it may hold, and how that is painted. */
import {
  formatValue,
  requireFinite,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { type ColorScale, colorIndex, requireScale, type Scale } from './color-scale.ts';
import { type LabelClass, outline, paintLabels } from './labels.ts';
import { requireNumberList } from './numbers.ts';
import { rasterImage } from './raster.ts';
import { element } from './svg.ts';
import { gridInk, ink } from './theme.ts';
import { wiggles } from './wiggles.ts';

/** One image. All that it holds has a value for each pixel, row by row. */
export interface Panel {
  readonly height: number;
  readonly width: number;
  /** Shown by the scale. What is not finite is left unpainted. */
  readonly values?: ArrayLike<number>;
  /** In place of `values`: planes of red, green and blue, [3, height, width], from 0 to 1. */
  readonly rgb?: ArrayLike<number>;
  /** Numbers of `classes`, painted over `values` or `rgb` where they are given. */
  readonly labels?: ArrayLike<number>;
  /** A line goes around the pixels that are not 0. */
  readonly outline?: ArrayLike<number>;
  /** Traces over the image: each `every`th column as a line, positive lobes filled; alone without the image. */
  readonly wiggles?: { readonly every: number; readonly alone?: boolean };
  readonly title?: string;
  /** A second line, such as a figure of merit. */
  readonly note?: string;
  /** Multiplies the values, as of an error, and says so in the title. Default: 1. */
  readonly gain?: number;
  /** A scale of its own, with a bar below the panel, in place of the one that all share. */
  readonly scale?: Scale;
}

/** A panel's image, what lies over it, and a frame. */
export function picture(
  panel: Panel,
  how: {
    readonly scale: ColorScale;
    readonly classes: readonly Required<LabelClass>[];
    readonly opacity: number;
    readonly box: { readonly width: number; readonly height: number };
  },
): string {
  const { width, height } = panel;
  const { scale, classes, box } = how;
  const at = { x: 0, y: 0, ...box };
  const rgba = new Uint8Array(4 * width * height);
  const base = panel.values ?? panel.rgb;
  if (panel.values) paintValues(rgba, panel, scale);
  if (panel.rgb) paintColors(rgba, panel.rgb);
  if (panel.labels) {
    paintLabels(rgba, panel.labels, { classes, opacity: base ? how.opacity : 1 });
  }
  const parts = [element('rect', { ...at, fill: panel.wiggles?.alone ? 'white' : gridInk })];
  if (!panel.wiggles?.alone) parts.push(rasterImage({ width, height, rgba }, at));
  if (panel.wiggles && panel.values) {
    const { every } = panel.wiggles;
    const full = Math.max(Math.abs(scale.low), Math.abs(scale.high)) / (panel.gain ?? 1);
    const lines = wiggles({ values: panel.values, width, height, every, full, box });
    parts.push(element('svg', { ...at, overflow: 'hidden' }, lines));
  }
  if (panel.outline) parts.push(outline(panel.outline, panel, box));
  parts.push(element('rect', { ...at, fill: 'none', stroke: ink, 'stroke-width': 0.75 }));
  return parts.join('');
}

function paintValues(rgba: Uint8Array, { values, gain = 1 }: Panel, scale: ColorScale): void {
  for (let i = 0; i < values!.length; i++) {
    const value = gain * values![i]!;
    if (!Number.isFinite(value)) continue;
    const from = 3 * colorIndex(scale, value);
    rgba.set(scale.table.subarray(from, from + 3), 4 * i);
    rgba[4 * i + 3] = 255;
  }
}

function paintColors(rgba: Uint8Array, planes: ArrayLike<number>): void {
  const area = planes.length / 3;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      rgba[4 * i + c] = Math.min(255, Math.max(0, Math.floor(256 * planes[c * area + i]!)));
    }
    rgba[4 * i + 3] = 255;
  }
}

const images = ['values', 'rgb', 'labels', 'outline'] as const;

/** @throws ValueError for what does not go together; ShapeError for data that are not one value a pixel. */
export function checkPanel(op: string, panel: Panel): void {
  const others = ['height', 'width', 'wiggles', 'title', 'note', 'gain', 'scale'];
  requireOptions(op, panel, [...images, ...others]);
  const { height, width, gain = 1, scale } = panel;
  requireWhole(op, 'height', height, 1);
  requireWhole(op, 'width', width, 1);
  requireFinite(op, 'gain', gain);
  for (const line of [panel.title, panel.note]) {
    if (line === undefined || typeof line === 'string') continue;
    throw new ValueError(`${op}: a title or note is ${formatValue(line)}; expected a text.`);
  }
  if (scale) requireScale(op, scale);
  if (panel.values && panel.rgb) {
    throw new ValueError(`${op}: both values and rgb are given; expected one of them.`);
  }
  if (!panel.values && (panel.wiggles || scale || gain !== 1)) {
    throw new ValueError(`${op}: wiggles, scale and gain are of values, and there are none.`);
  }
  if (panel.wiggles) {
    requireOptions(op, panel.wiggles, ['every', 'alone']);
    requireWhole(op, 'wiggles.every', panel.wiggles.every, 1);
  }
  for (const name of images) {
    const data = panel[name];
    if (data !== undefined) requireNumberList(op, name, data);
    const expected = (name === 'rgb' ? 3 : 1) * height * width;
    if (data && data.length !== expected) {
      throw new ShapeError(
        `${op}: ${name} has ${data.length} numbers; expected ${expected} for ${height} × ${width} pixels.`,
      );
    }
  }
}
