/** Colours of a figure's pixels, one for each unit of the SVG, as its PNG has them. */
import type { Figure } from '@invnet/figures';
import { decode } from 'fast-png';

export type Color = readonly [red: number, green: number, blue: number];

/** Reads pixels of the figure. */
export function pixelsOf(figure: Figure): (x: number, y: number) => Color {
  const { width, data, channels } = decode(figure.png({ zoom: 1 }));
  return (x, y) => {
    const at = channels * (Math.floor(y) * width + Math.floor(x));
    return [data[at]!, data[at + 1]!, data[at + 2]!];
  };
}

/** How many pixels of a rectangle are dark. */
export function darkPixels(
  figure: Figure,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): number {
  const color = pixelsOf(figure);
  let count = 0;
  for (let row = y; row < y + height; row++) {
    for (let column = x; column < x + width; column++) {
      if (color(column, row)[0] < 128) count += 1;
    }
  }
  return count;
}
