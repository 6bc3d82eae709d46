/**
 * Likelihoods of quantized data (Theis et al., "A note on the evaluation of generative models",
 * 2016). Mathematics: docs/math/flows/flow.md
 */
import {
  checkShape,
  currentPlacement,
  type DType,
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
  requireStream('dequantize', random);
  requireLevels('dequantize', levels);
  requirePixels('dequantize', pixels, shape, levels);
  const { dtype } = currentPlacement();
  const values = random.uniformArray(pixels.length);
  for (let i = 0; i < values.length; i++) {
    const v = pixels[i]!;
    values[i] = withinLevel(dtype, (values[i]! + v) / levels, v, levels);
  }
  return tensor(values, shape);
}

/** x rounded, and moved to the number next to it where that is needed for ⌊levels·x⌋ to be v. */
export function withinLevel(dtype: DType, x: number, v: number, levels: number): number {
  let rounded = roundTo(dtype, x);
  // Rounding may take x to the level beside v; or the product by which one finds the level again.
  if (rounded * levels < v) rounded = nextAbove(dtype, rounded);
  while (roundTo(dtype, rounded * levels) >= v + 1) rounded = nextBelow(dtype, rounded);
  return rounded;
}

/** @throws ValueError unless it is a number of levels that a pixel can have. */
export function requireLevels(op: string, levels: number): void {
  requireWhole(op, 'levels', levels, 2, 2 ** 16);
}

/** @throws ValueError unless they are pixels of these levels. @throws ShapeError unless they fill the shape. */
export function requirePixels(op: string, pixels: Pixels, shape: Shape, levels: number): void {
  const bytes = pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray;
  if (!(bytes || pixels instanceof Uint16Array)) {
    throw new ValueError(
      `${op}: pixels are ${formatValue(pixels)}; expected a Uint8Array or a Uint16Array of whole ` +
        'levels: numbers that are scaled already need none of this.',
    );
  }
  if (pixels.length !== sizeOf(checkShape(op, shape))) {
    throw new ShapeError(`${op}: ${pixels.length} pixels do not fill shape ${formatShape(shape)}.`);
  }
  const above = pixels.findIndex((v) => v >= levels);
  if (above < 0) return;
  throw new ValueError(
    `${op}: pixel ${above} is ${pixels[above]}; expected at most ${levels - 1} for ${levels} levels, which ` +
      'are given as levels.',
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
