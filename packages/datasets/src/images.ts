/**
 * Rows that are images: a folder of PNG and JPEG files, or a list of them, read as they are used. Who wants this entry
 * installs `fast-png` and `jpeg-js`.
 *
 * Left out: cropping and scaling. All images must have one shape.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireOptions,
  requireWhole,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import { blockRows } from './block-rows.ts';
import { type FileLike, requireFile, withFile } from './byte-file.ts';
import { parseJpeg } from './jpeg.ts';
import { nodeModule } from './node.ts';
import { isJpeg, isPng, type PixelImage } from './pixel-image.ts';
import { parsePng } from './png.ts';
import type { RowSource } from './rows.ts';

export type { PixelImage } from './pixel-image.ts';

/** A file is neither PNG nor JPEG. */
export class ImageFormatError extends InvNetError {
  override name = 'ImageFormatError';
}

/** Which images to read. */
export interface ImageRowsOptions {
  /** A folder, whose files that end in .png, .jpg or .jpeg are read in the order of their names; or files. */
  readonly files: string | readonly FileLike[];
  /** Images that are held at a time. Default: 16. It does not change the order, which is uniformly random. */
  readonly held?: number;
}

/** Images, each a row. */
export interface ImageRows extends RowSource {
  /** How many values a number can take: x holds whole numbers from 0 to `levels − 1`. */
  readonly levels: number;
}

/**
 * A source of images, each read when a batch needs it, so that memory holds `held` of them and no more. x is
 * [N, channels, height, width] of the levels that are stored, as floats.
 *
 * @throws ImageFormatError for files of other kinds. @throws ShapeError for an image of another shape than the first.
 * @throws InvNetError for a folder that cannot be read. @throws ValueError for wrong arguments, or no files.
 * @example
 * const source = await imageRows({ files: 'faces' });
 * for await (const { x } of source.batches({ batchSize: 16, seed: 1, epoch: 0 })) { … } // x.shape [16, 3, 64, 64]
 */
export async function imageRows(options: ImageRowsOptions): Promise<ImageRows> {
  const op = 'imageRows';
  requireOptions(op, options, ['files', 'held']);
  const { held = 16 } = options;
  requireWhole(op, 'held', held, 1);
  const files = await filesOf(op, options.files);
  const { shape, levels } = await imageOf(op, files[0]!);
  const open = async () => ({
    async read(start: number, end: number) {
      const images = await Promise.all(files.slice(start, end).map((file) => imageOf(op, file)));
      const size = images[0]!.data.length;
      const data = new Float32Array(images.length * size);
      for (const [i, image] of images.entries()) {
        if (String(image.shape) !== String(shape) || image.levels !== levels) {
          throw new ShapeError(
            `${op}: ${nameOf(files[start + i]!)} is ${formatShape(image.shape)} of ${image.levels} levels, ` +
              `${nameOf(files[0]!)} is ${formatShape(shape)} of ${levels}; expected images of one kind.`,
          );
        }
        data.set(image.data, i * size);
      }
      return { x: { shape: [images.length, ...shape], data } };
    },
    close: async () => {},
  });
  const file = { count: files.length, rowBytes: 1, open };
  const source = await blockRows(op, file, { blockRows: 1, windowBlocks: held });
  return { ...source, levels };
}

async function filesOf(
  op: string,
  files: string | readonly FileLike[],
): Promise<readonly FileLike[]> {
  if (typeof files === 'string') return await listed(op, files);
  if (!Array.isArray(files) || files.length === 0) {
    throw new ValueError(
      `${op}: files are ${formatValue(files)}; expected the path of a folder, or files.`,
    );
  }
  // Holes are none.
  for (const file of Array.from<FileLike>(files)) requireFile(op, 'a file', file);
  return [...files];
}

async function listed(op: string, folder: string): Promise<readonly string[]> {
  const { readdir } = nodeModule('node:fs/promises', op);
  const { join } = nodeModule('node:path', op);
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new InvNetError(`${op}: cannot read ${formatValue(folder)}; expected a folder there.`, {
      cause,
    });
  });
  const images = names.filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
  if (images.length === 0) {
    throw new ValueError(
      `${op}: none of the ${names.length} files in ${folder} ends in .png, .jpg or .jpeg; expected images there.`,
    );
  }
  return images.map((name) => join(folder, name));
}

async function imageOf(op: string, file: FileLike): Promise<PixelImage> {
  const bytes = await withFile(op, file, (open) => open.read(0, open.size));
  if (isPng(bytes)) return parsePng(bytes, nameOf(file));
  if (isJpeg(bytes)) return parseJpeg(bytes, nameOf(file));
  throw new ImageFormatError(
    `${op}: ${nameOf(file)} starts with ${formatValue(String.fromCharCode(...bytes.subarray(0, 8)))}; ` +
      'expected a PNG or a JPEG file.',
  );
}

function nameOf(file: FileLike): string {
  return typeof file === 'string' ? file : 'name' in file ? String(file.name) : 'the file';
}
