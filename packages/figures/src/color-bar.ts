/** The bar that says which value has which colour. */
import * as Plot from '@observablehq/plot';
import type { ColorScale } from './color-scale.ts';
import { rasterImage } from './raster.ts';
import { element, moved, plotted, text, widestTick } from './svg.ts';
import { ink, smallSize } from './theme.ts';

const thickness = 10;

/** What is drawn, and the room that it takes across. */
export interface Bar {
  readonly across: number;
  readonly content: string;
}

/** An upright bar, its high end up, with ticks and label to its right. */
export function verticalBar(scale: ColorScale, length: number): Bar {
  const { low, high, label } = scale;
  const margins = { marginTop: 0, marginBottom: 0, marginLeft: thickness, marginRight: 0 };
  const ticks = { domain: [low, high], ticks: Math.max(2, Math.round(length / 45)) };
  const axis = plotted({
    ...margins,
    width: thickness + 1,
    height: length,
    y: { ...ticks, axis: null },
    marks: [Plot.axisY({ anchor: 'right', label: null, tickSize: 3, fontSize: smallSize })],
  });
  const room = widestTick([low, high]) + 10;
  const caption = label === undefined ? '' : upright(thickness + room + 12, length / 2, label);
  const content = gradient(scale, thickness, length, true) + axis + caption;
  return { across: thickness + room + (label === undefined ? 0 : 20), content };
}

/** A lying bar, its high end to the right, with ticks below it and the label below them. */
export function horizontalBar(scale: ColorScale, length: number): Bar {
  const { low, high, label } = scale;
  const axis = plotted({
    margin: 0,
    width: length,
    height: thickness,
    x: { domain: [low, high], ticks: 3, axis: null },
    marks: [Plot.axisX({ label: null, ticks: 3, tickSize: 3, fontSize: smallSize })],
  });
  const caption =
    label === undefined ? '' : text(length / 2, thickness + 30, label, { 'font-size': smallSize });
  const content = gradient(scale, length, thickness, false) + axis + caption;
  return { across: thickness + (label === undefined ? 18 : 34), content };
}

/** Text that is read from below. */
export function upright(x: number, y: number, content: string): string {
  const attributes = { transform: 'rotate(-90)', 'font-size': smallSize };
  return moved(x, y, text(0, 0, content, attributes));
}

function gradient(scale: ColorScale, width: number, height: number, up: boolean): string {
  const rgba = new Uint8Array(4 * 256).fill(255);
  for (let i = 0; i < 256; i++) {
    const from = 3 * (up ? 255 - i : i);
    rgba.set(scale.table.subarray(from, from + 3), 4 * i);
  }
  const size = up ? { width: 1, height: 256 } : { width: 256, height: 1 };
  const box = { x: 0, y: 0, width, height };
  const frame = element('rect', { ...box, fill: 'none', stroke: ink, 'stroke-width': 0.75 });
  return rasterImage({ ...size, rgba }, box) + frame;
}
