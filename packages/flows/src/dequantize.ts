/**
 * Likelihoods of quantized data (Theis et al., "A note on the evaluation of generative models",
 * 2016). Mathematics: docs/math/flows/flow.md
 */
import {
  checkShape,
  currentPlacement,
  formatShape,
  formatValue,
  nextAbove,
  nextBelow,
  type RandomStream,
  requireFinite,
  requireStream,
  requireWhole,
  roundTo,
  type Shape,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';

/** Pixels as they come: whole numbers of 8 or 16 bits. */
export type Pixels = Uint8Array | Uint8ClampedArray | Uint16Array;

/**
 * x = (v + u)/levels for pixels v and uniform noise u in [0, 1): data in [0, 1) with a density. In any
 * precision ⌊levels·x⌋ is v, with the product in that precision too.
 *
 * @param levels how many values a pixel can take, those from 0 to levels − 1; at most 2¹⁶
 * @throws ShapeError when the count does not match the shape. @throws ValueError for a pixel that is
 * none of the levels, and for arrays of other types.
 * @example
 * dequantize(bytes, [16, 1, 28, 28], random); // 256 levels
 * dequantize(Uint16Array.of(17, 4095), [2], random, 4096); // of 12 bits
 */
export function dequantize(
  pixels: Pixels,
  shape: Shape,
  random: RandomStream,
  levels = 256,
): Tensor {
  requirePixels(pixels);
  requireStream('dequantize', random);
  requireWhole('dequantize', 'levels', levels, 2, 2 ** 16);
  if (pixels.length !== sizeOf(checkShape('dequantize', shape))) {
    throw new ShapeError(
      `dequantize: ${pixels.length} pixels do not fill shape ${formatShape(shape)}.`,
    );
  }
  const above = pixels.findIndex((v) => v >= levels);
  if (above >= 0) {
    throw new ValueError(
      `dequantize: pixel ${above} is ${pixels[above]}; expected at most ${levels - 1} for ${levels} ` +
        'levels, which is the last argument.',
    );
  }
  const { dtype } = currentPlacement();
  const values = random.uniformArray(pixels.length);
  for (let i = 0; i < values.length; i++) {
    const v = pixels[i]!;
    let x = roundTo(dtype, (values[i]! + v) / levels);
    // Rounding may take x to the level beside v; or the product by which one finds the level again.
    if (x * levels < v) x = nextAbove(dtype, x);
    while (roundTo(dtype, x * levels) >= v + 1) x = nextBelow(dtype, x);
    values[i] = x;
  }
  return tensor(values, shape);
}

function requirePixels(pixels: Pixels): void {
  if (pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) return;
  if (pixels instanceof Uint16Array) return;
  throw new ValueError(
    `dequantize: pixels are ${formatValue(pixels)}; expected a Uint8Array or a Uint16Array of whole ` +
      'levels: numbers that are scaled already need none of this.',
  );
}

/**
 * Bits per dimension of data with `levels` values that were scaled to [0, 1):
 * nll/(D log 2) + log₂ levels.
 *
 * @param nats negative log-likelihood of a sample of the scaled data, in nats
 * @param dims numbers per sample, D
 * @throws ValueError unless nats is finite, dims at least 1 and levels at least 2, both whole.
 * @example bitsPerDim(await loss, 28 * 28)
 */
export function bitsPerDim(nats: number, dims: number, levels = 256): number {
  requireFinite('bitsPerDim', 'nats', nats);
  requireWhole('bitsPerDim', 'dims', dims, 1);
  requireWhole('bitsPerDim', 'levels', levels, 2);
  return nats / (dims * Math.LN2) + Math.log2(levels);
}
