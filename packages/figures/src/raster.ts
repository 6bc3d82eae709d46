/** Pixels as an element of an SVG, each pixel a sharp rectangle. */
import { encode } from 'fast-png';
import { element } from './svg.ts';

/** Red, green, blue and opacity of each pixel, from 0 to 255, row by row. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array;
}

/** Where a raster goes. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The raster stretched over a box. */
export function rasterImage({ width, height, rgba }: Raster, box: Box): string {
  const png = encode({ width, height, data: rgba, channels: 4, depth: 8 });
  const binary = Array.from(png, (byte) => String.fromCharCode(byte)).join('');
  return element('image', {
    ...box,
    href: `data:image/png;base64,${btoa(binary)}`,
    preserveAspectRatio: 'none',
    // What resvg knows; the style of a figure says it to browsers.
    'image-rendering': 'optimizeSpeed',
  });
}
