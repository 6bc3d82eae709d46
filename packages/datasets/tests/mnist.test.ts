import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ValueError } from '@invnet/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IdxFormatError, loadMnist } from '../src/index.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'invnet-mnist-'));
});
afterAll(() => rm(directory, { recursive: true }));

describe('loadMnist', () => {
  it.each([
    ['train', 60000, [5, 0, 4, 1, 9], [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]],
    ['test', 10000, [7, 2, 1, 0, 4], [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]],
  ] as const)('loads all of the %s split', async (split, count, first, perDigit) => {
    const mnist = await loadMnist({ split });
    expect(mnist.count).toBe(count);
    expect([mnist.height, mnist.width]).toEqual([28, 28]);
    expect(mnist.images.length).toBe(count * 28 * 28);
    expect([...mnist.labels.subarray(0, 5)]).toEqual(first);
    const counts = new Array<number>(10).fill(0);
    for (const label of mnist.labels) counts[label]! += 1;
    expect(counts).toEqual(perDigit);
    // The mean grey value is known to be near 0.13 of white.
    let sum = 0;
    for (const v of mnist.images) sum += v;
    expect(sum / mnist.images.length / 255).toBeCloseTo(0.131, 2);
  });

  it('reads what is compressed, by the names of other editions', async () => {
    const folder = join(import.meta.dirname, 'files', 'mnist');
    const { images, labels, count } = await loadMnist({ split: 'test', directory: folder });
    expect([count, ...labels]).toEqual([2, 7, 2]);
    expect(images).toEqual(Uint8Array.from({ length: 2 * 784 }, (_, i) => i % 251));
    for (const name of ['t10k-images.idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']) {
      await copyFile(join(folder, name), join(directory, name));
    }
    await truncate(join(directory, 't10k-images.idx3-ubyte.gz'), 200);
    const damaged = loadMnist({ split: 'test', directory });
    await expect(damaged).rejects.toThrow(IdxFormatError);
    await expect(damaged).rejects.toThrow(/images\.idx3-ubyte\.gz is truncated or damaged/);
    await rm(join(directory, 't10k-images.idx3-ubyte.gz'));
  });

  it('refuses an unknown split', async () => {
    const split = 'validation' as 'test';
    await expect(loadMnist({ split })).rejects.toThrow(ValueError);
    await expect(loadMnist({ split })).rejects.toThrow(
      /'validation'; expected one of 'train', 'test'/,
    );
  });

  it('names a missing, a foreign and a mismatched file', async () => {
    const header = (...bytes: number[]) => Uint8Array.from(bytes);
    const images = join(directory, 't10k-images-idx3-ubyte');
    const labels = join(directory, 't10k-labels-idx1-ubyte');
    const load = () => loadMnist({ split: 'test', directory });
    await writeFile(labels, header(0, 0, 8, 1, 0, 0, 0, 2, 1, 2));
    await expect(load()).rejects.toThrow(/cannot read .*t10k-images-idx3-ubyte/);
    await writeFile(images, 'nothing of the kind');
    await expect(load()).rejects.toThrow(IdxFormatError);
    await expect(load()).rejects.toThrow(/t10k-images-idx3-ubyte is not an IDX file/);
    await writeFile(images, header(0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9));
    await expect(load()).rejects.toThrow(
      /shape \[1, 1\]; expected Uint8Array of shape \[count, 28, 28\]/,
    );
    const one = new Uint8Array(16 + 784);
    one.set([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]);
    await writeFile(images, one);
    await expect(load()).rejects.toThrow(/1 images but 2 labels/);
  });
});
