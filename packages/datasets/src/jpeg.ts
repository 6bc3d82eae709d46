/**
 * JPEG images, baseline and progressive, read by `jpeg-js`, which who wants this entry installs: a decoder in plain
 * JavaScript, so that Node.js and pages read the same numbers.
 *
 * Left out: more than 8 bits, arithmetic coding, orientation that cameras note beside the image, and writing.
 */
import { formatValue, InvNetError, requireBytes } from '@invnet/tensor';
import { decode } from 'jpeg-js';
import { channelsFirst, isJpeg, type PixelImage } from './pixel-image.ts';

export type { PixelImage } from './pixel-image.ts';

/** Bytes are not a whole JPEG file, or one that is not read here. */
export class JpegFormatError extends InvNetError {
  override name = 'JpegFormatError';
}

/**
 * Reads a JPEG file: grey images have one channel, others red, green and blue, each number of 8 bits.
 *
 * @param bytes - The file.
 * @param name - What messages call it, such as the file's path.
 * @throws JpegFormatError for another kind of file, or a truncated or damaged one. @throws ValueError for what is no
 * Uint8Array.
 * @example
 * const { data, shape } = parseJpeg(await readFile('face.jpg')); // shape [3, 218, 178]
 */
export function parseJpeg(bytes: Uint8Array, name = 'the file'): PixelImage {
  requireBytes('parseJpeg', 'bytes', bytes);
  if (!isJpeg(bytes)) {
    throw new JpegFormatError(
      `parseJpeg: ${name} is not a JPEG file: it starts with ` +
        `${formatValue(String.fromCharCode(...bytes.subarray(0, 8)))}; expected '\\xff\\xd8\\xff'.`,
    );
  }
  try {
    const { width, height, data } = decode(bytes, {
      useTArray: true,
      formatAsRGBA: false,
      tolerantDecoding: false,
    });
    const colours = channelsFirst(data, 3);
    // The library makes three equal channels of one.
    return isGrey(bytes)
      ? { shape: [1, height, width], data: colours.slice(0, width * height), levels: 256 }
      : { shape: [3, height, width], data: colours, levels: 256 };
  } catch (cause) {
    // What the library stumbles over in damaged files is of any kind.
    throw new JpegFormatError(
      `parseJpeg: ${name} is truncated or damaged, or a JPEG of another kind; expected 8 bits, baseline or progressive.`,
      { cause },
    );
  }
}

/** Has it one component? The header of its frame, the first segment of marks C0 to C2, says how many. */
function isGrey(bytes: Uint8Array): boolean {
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes[at + 2]! * 256 + bytes[at + 3]!) {
    const mark = bytes[at + 1]!;
    if (mark >= 0xc0 && mark <= 0xc2) return bytes[at + 9] === 1;
  }
  return false;
}
