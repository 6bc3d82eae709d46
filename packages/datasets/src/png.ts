/**
 * PNG images, read by `fast-png`, which who wants this entry installs.
 *
 * Left out: animations, colour profiles, and one transparent colour of an image that has no opacity. Writing is
 * `encode` of `fast-png` itself.
 */
import { formatValue, InvNetError, requireBytes } from '@invnet/tensor';
import { convertIndexedToRgb, type DecodedPng, decode } from 'fast-png';
import { channelsFirst, isPng, type PixelImage } from './pixel-image.ts';

export type { PixelImage } from './pixel-image.ts';

/** Bytes are not a whole PNG file. */
export class PngFormatError extends InvNetError {
  override name = 'PngFormatError';
}

/**
 * Reads a PNG file of 1 to 16 bits, in grey or colours, with opacity or not. Palettes become red, green and blue;
 * numbers stay as they are stored.
 *
 * @param bytes - The file.
 * @param name - What messages call it, such as the file's path.
 * @throws PngFormatError for another kind of file, or a truncated or damaged one. @throws ValueError for what is no
 * Uint8Array.
 * @example
 * const { data, shape, levels } = parsePng(await readFile('scan.png')); // shape [1, 512, 512], levels 65536
 * const x = dequantize(data, [1, ...shape], random, levels); // of @invnet/flows
 */
export function parsePng(bytes: Uint8Array, name = 'the file'): PixelImage {
  requireBytes('parsePng', 'bytes', bytes);
  if (!isPng(bytes)) {
    throw new PngFormatError(
      `parsePng: ${name} is not a PNG file: it starts with ` +
        `${formatValue(String.fromCharCode(...bytes.subarray(0, 8)))}; expected '\\x89PNG'.`,
    );
  }
  try {
    const png = decode(bytes, { checkCrc: true });
    const { width, height } = png;
    const pixels = pixelsOf(png);
    const channels = pixels.length / (width * height);
    if (!Number.isInteger(channels) || channels < 1) throw new RangeError('expected whole pixels');
    const levels = png.palette ? 256 : 2 ** png.depth;
    return { shape: [channels, height, width], data: channelsFirst(pixels, channels), levels };
  } catch (cause) {
    // What the library stumbles over in damaged files is of any kind.
    throw new PngFormatError(`parsePng: ${name} is truncated or damaged.`, { cause });
  }
}

function pixelsOf(png: DecodedPng): DecodedPng['data'] {
  if (png.palette) return convertIndexedToRgb(png);
  return png.depth < 8 ? unpacked(png) : png.data;
}

/** Of less than 8 bits several stand in a byte; each row starts in one of its own. */
function unpacked({ data, depth, width, height }: DecodedPng): Uint8Array {
  const pixels = new Uint8Array(width * height);
  const rowBytes = Math.ceil((width * depth) / 8);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)]!;
      pixels[to++] = (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    }
  }
  return pixels;
}
