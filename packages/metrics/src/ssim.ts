/**
 * Structural similarity (Wang et al., "Image quality assessment: from error visibility to structural
 * similarity", 2004). Mathematics: docs/math/metrics/ssim.md
 *
 * Left out: several channels, which are compared one by one, and padding: windows lie within the image.
 */
import {
  checkShape,
  formatShape,
  requireBetween,
  requireOneOf,
  requireOptions,
  type Shape,
  ShapeError,
  sizeOf,
} from '@invnet/tensor';
import { requireAlike } from './numbers.ts';

/** C₁ = (K₁·range)² and C₂ = (K₂·range)² keep SSIM defined where an image is dark or flat. */
export const [K1, K2] = [0.01, 0.03];
/** Pixels along each side of the uniform window. */
export const UNIFORM_SIDE = 7;

/**
 * What statistics are taken over. `uniform`: 7 pixels along each axis, with the covariance of samples,
 * divided by one less than their number. `gaussian`: weights of deviation 1.5 over 11 pixels, as in the paper.
 */
export type SsimWindow = 'uniform' | 'gaussian';

/** Options of `ssim`. */
export interface SsimOptions {
  /** Sizes of the image, such as [height, width]; of a volume, whose windows are cubes, three. */
  readonly shape: Shape;
  /** The largest value less the smallest that an image of its kind may have. */
  readonly range: number;
  /** Default: `uniform`. */
  readonly window?: SsimWindow;
}

/**
 * The mean of SSIM over all windows within the image: 1 for equal images, at least −1. It is what
 * `structural_similarity` of scikit-image gives, by default or with `gaussian_weights=True, sigma=1.5,
 * use_sample_covariance=False`.
 *
 * @throws ShapeError unless both images fill the shape, and it has room for a window.
 * @throws ValueError for numbers that are not finite, and a range not above 0.
 * @example ssim(estimate, truth, { shape: [128, 128], range: 1 }); // 0.82
 */
export function ssim(
  estimate: ArrayLike<number>,
  truth: ArrayLike<number>,
  options: SsimOptions,
): number {
  requireOptions('ssim', options, ['shape', 'range', 'window']);
  const { range, window = 'uniform' } = options;
  requireOneOf('ssim', 'window', window, ['uniform', 'gaussian']);
  requireBetween('ssim', 'range', range, 0);
  requireAlike('ssim', ['the estimate', estimate], ['the truth', truth]);
  const shape = checkShape('ssim', options.shape);
  if (sizeOf(shape) !== truth.length) {
    throw new ShapeError(
      `ssim: ${truth.length} numbers do not fill an image of shape ${formatShape(shape)}.`,
    );
  }
  const taps = windows[window];
  requireRoom('ssim', shape, taps.length);
  const [c1, c2] = [(K1 * range) ** 2, (K2 * range) ** 2];
  const unbias = window === 'uniform' ? sampleCorrection(shape.length) : 1;

  const local = (of: (i: number) => number) =>
    filtered(
      Float64Array.from(truth, (_, i) => of(i)),
      shape,
      taps,
    );
  const meanX = local((i) => estimate[i]!);
  const meanY = local((i) => truth[i]!);
  const meanXX = local((i) => estimate[i]! ** 2);
  const meanYY = local((i) => truth[i]! ** 2);
  const meanXY = local((i) => estimate[i]! * truth[i]!);
  let total = 0;
  for (let i = 0; i < meanX.length; i++) {
    const [x, y] = [meanX[i]!, meanY[i]!];
    const covariance = unbias * (meanXY[i]! - x * y);
    const variances = unbias * (meanXX[i]! - x * x + meanYY[i]! - y * y);
    total += ((2 * x * y + c1) * (2 * covariance + c2)) / ((x * x + y * y + c1) * (variances + c2));
  }
  return total / meanX.length;
}

/** n/(n − 1) for the n pixels of a uniform window. */
export function sampleCorrection(axes: number): number {
  const n = UNIFORM_SIDE ** axes;
  return n / (n - 1);
}

/** @throws ShapeError unless a window of that side fits. */
export function requireRoom(op: string, sizes: Shape, side: number): void {
  if (sizes.length > 0 && sizes.every((size) => size >= side)) return;
  throw new ShapeError(
    `${op}: an image of ${formatShape(sizes)} has no room for a window of ${side} pixels along each axis.`,
  );
}

const bell = Array.from({ length: 11 }, (_, i) => Math.exp(-((i - 5) ** 2) / (2 * 1.5 ** 2)));
const area = bell.reduce((sum, tap) => sum + tap);
const windows: Record<SsimWindow, readonly number[]> = {
  uniform: new Array<number>(UNIFORM_SIDE).fill(1 / UNIFORM_SIDE),
  gaussian: bell.map((tap) => tap / area),
};

/** Weighted means over windows within the image, axis by axis. */
function filtered(image: Float64Array, shape: Shape, taps: readonly number[]): Float64Array {
  let values = image;
  const sizes = [...shape];
  for (let axis = 0; axis < sizes.length; axis++) {
    const inner = sizeOf(sizes.slice(axis + 1));
    const outer = sizeOf(sizes.slice(0, axis));
    const size = sizes[axis]!;
    const left = size - taps.length + 1;
    const next = new Float64Array(outer * left * inner);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < left * inner; i++) {
        const from = o * size * inner + i;
        let sum = 0;
        for (let t = 0; t < taps.length; t++) sum += taps[t]! * values[from + t * inner]!;
        next[o * left * inner + i] = sum;
      }
    }
    sizes[axis] = left;
    values = next;
  }
  return values;
}
