/** Complex images as numbers: all real parts, then all imaginary ones. */

/** |z| of each pixel. */
export function magnitudes(image: ArrayLike<number>): Float32Array {
  const area = image.length / 2;
  return Float32Array.from({ length: area }, (_, i) => Math.hypot(image[i]!, image[i + area]!));
}

/** Peak signal-to-noise ratio of both parts, for images of at most 1. */
export function complexPsnr(image: ArrayLike<number>, truth: ArrayLike<number>): number {
  return psnrOf(squaredError(image, truth));
}

/** Mean of squared differences. */
export function squaredError(image: ArrayLike<number>, truth: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < truth.length; i++) sum += (image[i]! - truth[i]!) ** 2;
  return sum / truth.length;
}

export function psnrOf(meanSquaredError: number): number {
  return -10 * Math.log10(meanSquaredError);
}
