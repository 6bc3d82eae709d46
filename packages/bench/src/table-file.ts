/** A table of numbers in an NPY file that may be larger than memory, made by blocks from a seed. */
import { open } from 'node:fs/promises';
import { npyHeader } from '@invnet/datasets/npy';
import { RandomStream } from '@invnet/tensor';

/** What table to make. */
export interface TableFile {
  readonly rows: number;
  readonly columns: number;
  readonly seed: number;
}

/** Rows that are made at once. */
const BLOCK = 2 ** 16;

/**
 * Writes [rows, columns] of float32 to a file. The first column is standard normal, and each further one follows the one
 * before along a curve, sin 2x + ½ε: a density that a flow has to learn, and rows that are independent.
 */
export async function writeTableFile(
  path: string,
  { rows, columns, seed }: TableFile,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.write(npyHeader([rows, columns], 'float32'));
    const random = new RandomStream(seed);
    for (let start = 0; start < rows; start += BLOCK) {
      const noise = random.normalArray(Math.min(BLOCK, rows - start) * columns);
      const block = Float32Array.from(noise);
      for (let i = 0; i < block.length; i++) {
        if (i % columns > 0) block[i] = Math.sin(2 * block[i - 1]!) + 0.5 * noise[i]!;
      }
      await file.write(block);
    }
  } finally {
    await file.close();
  }
}
