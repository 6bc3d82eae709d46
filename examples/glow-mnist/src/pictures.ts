/** Grids of grey images as PNG bytes. */
import { PNG } from 'pngjs';

/** How images are laid out. */
export interface GridOptions {
  /** Height and width of each image. */
  readonly height: number;
  readonly width: number;
  /** Images per row. */
  readonly columns: number;
  /** Pixels of the picture along each side of one pixel. Default: 3. */
  readonly zoom?: number;
}

const gap = 2;
const background = 64;

/**
 * A PNG of images with values from 0 (black) to 1 (white), clipped to that range, in rows.
 *
 * @param values - The images one after another, row-major.
 * @example await writeFile('samples.png', imageGrid(data, { height: 28, width: 28, columns: 8 }));
 */
export function imageGrid(values: ArrayLike<number>, options: GridOptions): Buffer {
  const { height, width, columns, zoom = 3 } = options;
  const count = values.length / (height * width);
  const cellWidth = width * zoom + gap;
  const cellHeight = height * zoom + gap;
  const png = new PNG({
    width: columns * cellWidth + gap,
    height: Math.ceil(count / columns) * cellHeight + gap,
    colorType: 0,
  });
  // pngjs keeps RGBA while it works, whatever it writes.
  const paint = (x: number, y: number, grey: number) => {
    png.data.set([grey, grey, grey, 255], 4 * (y * png.width + x));
  };
  for (let y = 0; y < png.height; y++) {
    for (let x = 0; x < png.width; x++) paint(x, y, background);
  }
  for (let i = 0; i < count; i++) {
    const left = gap + (i % columns) * cellWidth;
    const top = gap + Math.floor(i / columns) * cellHeight;
    for (let y = 0; y < height * zoom; y++) {
      for (let x = 0; x < width * zoom; x++) {
        const pixel = Math.floor(y / zoom) * width + Math.floor(x / zoom);
        paint(left + x, top + y, grey(values[i * height * width + pixel]!));
      }
    }
  }
  return PNG.sync.write(png, { colorType: 0 });
}

function grey(value: number): number {
  return Math.min(255, Math.max(0, Math.floor(value * 256)));
}
