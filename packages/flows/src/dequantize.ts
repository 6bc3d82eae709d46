/**
 * Likelihoods of quantized data (Theis et al., "A note on the evaluation of generative models",
 * 2016). Mathematics: docs/math/flows/flow.md
 */
import {
  formatShape,
  type RandomStream,
  type Shape,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
} from '@invnet/tensor';

/**
 * (v + u)/256 for bytes v and uniform noise u in [0, 1): data in [0, 1) with a density.
 *
 * @throws ShapeError when the count does not match the shape.
 */
export function dequantize(bytes: Uint8Array, shape: Shape, random: RandomStream): Tensor {
  if (bytes.length !== sizeOf(shape)) {
    throw new ShapeError(
      `dequantize: ${bytes.length} bytes do not fill shape ${formatShape(shape)}.`,
    );
  }
  const values = random.uniformArray(bytes.length);
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! + bytes[i]!) / 256;
  return tensor(values, shape);
}

/**
 * Bits per dimension of data with `levels` values that were scaled to [0, 1):
 * nll/(D log 2) + log₂ levels.
 *
 * @param nats negative log-likelihood of a sample of the scaled data, in nats
 * @param dims numbers per sample, D
 */
export function bitsPerDim(nats: number, dims: number, levels = 256): number {
  return nats / (dims * Math.LN2) + Math.log2(levels);
}
