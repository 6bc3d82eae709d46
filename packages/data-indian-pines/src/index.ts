/**
 * Indian Pines, a hyperspectral image of fields and woods with labels of what grows there (Baumgardner, Biehl and
 * Landgrebe, 2015). Left out: splits, which belong to the experiment; pixels next to each other are alike, so that a
 * split by pixels flatters.
 */
import { type NumericData, parseNpy } from '@invnet/datasets/npy';

/** Where the image is: `indian_pines_corrected.npy.gz`, 5.8 MB; 16-bit numbers [rows, columns, bands]. */
export const indianPinesCube = new URL('../data/indian_pines_corrected.npy.gz', import.meta.url);

/** Where the labels are: `indian_pines_gt.npy.gz`; bytes [rows, columns]. */
export const indianPinesLabels = new URL('../data/indian_pines_gt.npy.gz', import.meta.url);

/** The classes that labels 1 … 16 stand for, in order. */
export const indianPinesClasses: readonly string[] = [
  'Alfalfa',
  'Corn, no till',
  'Corn, minimum till',
  'Corn',
  'Grass, pasture',
  'Grass, trees',
  'Grass, mowed pasture',
  'Hay in windrows',
  'Oats',
  'Soybeans, no till',
  'Soybeans, minimum till',
  'Soybeans, clean till',
  'Wheat',
  'Woods',
  'Buildings, grass, trees, drives',
  'Stone and steel towers',
];

/** The scene in memory. */
export interface IndianPines {
  /** What the sensor measured, 955 … 9604, as [bands, height, width], row-major. */
  readonly cube: Uint16Array<ArrayBuffer>;
  /** 0 for pixels without a label, which are half of them, or a class 1 … 16, as [height, width]. */
  readonly labels: Uint8Array<ArrayBuffer>;
  readonly bands: 200;
  readonly height: 145;
  readonly width: 145;
}

/**
 * Loads the scene, in Node.js from the files of this package, in a page by `fetch`.
 *
 * @throws NpyFormatError, of `@invnet/datasets/npy`, or TypeError where the files are damaged or missing.
 * @example
 * const { cube, labels, height, width } = await loadIndianPines();
 * const band = cube.subarray(30 * height * width, 31 * height * width);
 */
export async function loadIndianPines(): Promise<IndianPines> {
  const [pixels, labels] = await Promise.all([load(indianPinesCube), load(indianPinesLabels)]);
  const [bands, height, width] = [200, 145, 145] as const;
  const cube = new Uint16Array(bands * height * width);
  for (let band = 0, to = 0; band < bands; band++) {
    for (let pixel = 0; pixel < height * width; pixel++) {
      cube[to++] = Number(pixels[pixel * bands + band]);
    }
  }
  return { cube, labels: Uint8Array.from(labels, Number), bands, height, width };
}

async function load(url: URL): Promise<NumericData> {
  const compressed = new Blob([await read(url)]).stream();
  const stream = compressed.pipeThrough(new DecompressionStream('gzip'));
  const bytes = await new Response(stream).arrayBuffer();
  return parseNpy(new Uint8Array(bytes), url.pathname).data;
}

/** Node.js fetches no files; a page has nothing else. */
async function read(url: URL): Promise<BlobPart> {
  if (url.protocol !== 'file:') return (await fetch(url)).arrayBuffer();
  return process.getBuiltinModule('node:fs/promises').readFile(url);
}
