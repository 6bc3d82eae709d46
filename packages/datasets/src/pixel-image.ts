/** Images as they are stored in files: whole numbers, channel by channel; and how files of them start. */

/** An image of whole levels, which `dequantize` of `@invnet/flows` takes with its shape and `levels`. */
export interface PixelImage {
  /** [channels, height, width], of 1 (grey), 2 (grey, opacity), 3 (red, green, blue) or 4 (and opacity) channels. */
  readonly shape: readonly [channels: number, height: number, width: number];
  /** Row-major: channel by channel, not pixel by pixel. */
  readonly data: Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
  /** How many values a number can take, from 0 to `levels − 1`: 256 for 8 bits, 65536 for 16. */
  readonly levels: number;
}

/** From pixel by pixel, as decoders give them, to channel by channel. */
export function channelsFirst(
  pixels: Uint8Array | Uint8ClampedArray | Uint16Array,
  channels: number,
): PixelImage['data'] {
  const area = pixels.length / channels;
  const data =
    pixels instanceof Uint16Array ? new Uint16Array(pixels.length) : new Uint8Array(pixels.length);
  for (let channel = 0, to = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < area; pixel++) data[to++] = pixels[pixel * channels + channel]!;
  }
  return data;
}

/** Does a file start as PNG's do? */
export function isPng(bytes: Uint8Array): boolean {
  return [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10].every((byte, i) => bytes[i] === byte);
}

/** Does a file start as JPEG's do? */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}
