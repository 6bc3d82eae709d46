/**
 * How far an image is from the true one, number by number. Mathematics: docs/math/metrics/image-quality.md
 *
 * Left out: what is done to complex images before. Whoever compares magnitudes passes magnitudes.
 */
import { requireBetween, requireOptions, ValueError } from '@invnet/tensor';
import { requireAlike } from './numbers.ts';

/**
 * Peak signal-to-noise ratio, 10 log₁₀(range²/MSE) in decibels; infinite for equal images.
 *
 * @param options - `range`: the largest value less the smallest that an image of its kind may have, such as
 * 255 for bytes.
 * @throws ValueError for numbers that are not finite, and a range not above 0.
 * @throws ShapeError unless there are as many numbers in both.
 * @example psnr(await estimate.data(), await truth.data(), { range: 1 }); // 27.1
 */
export function psnr(
  estimate: ArrayLike<number>,
  truth: ArrayLike<number>,
  options: { readonly range: number },
): number {
  requireOptions('psnr', options, ['range']);
  requireBetween('psnr', 'range', options.range, 0);
  const { error } = energies('psnr', estimate, truth);
  return 20 * Math.log10(options.range) - 10 * Math.log10(error / truth.length);
}

/**
 * Root mean square error over the root mean square of the truth, ‖estimate − truth‖/‖truth‖: 0 is perfect,
 * and 1 what an image of zeros gets. Its square is the NMSE of fastMRI.
 *
 * @throws ValueError for numbers that are not finite, and a truth of zeros.
 * @throws ShapeError unless there are as many numbers in both.
 * @example nrmse([1, 2], [1, 1]); // 0.707
 */
export function nrmse(estimate: ArrayLike<number>, truth: ArrayLike<number>): number {
  const { signal, error } = energies('nrmse', estimate, truth);
  requireSignal('nrmse', signal);
  return Math.sqrt(error / signal);
}

/**
 * Signal-to-noise ratio, 20 log₁₀(‖truth‖/‖estimate − truth‖) in decibels; infinite for equal images.
 *
 * @throws ValueError for numbers that are not finite, and a truth of zeros.
 * @throws ShapeError unless there are as many numbers in both.
 * @example snr([1, 2], [1, 1]); // 3.01
 */
export function snr(estimate: ArrayLike<number>, truth: ArrayLike<number>): number {
  const { signal, error } = energies('snr', estimate, truth);
  requireSignal('snr', signal);
  return 10 * Math.log10(signal / error);
}

function energies(op: string, estimate: ArrayLike<number>, truth: ArrayLike<number>) {
  requireAlike(op, ['the estimate', estimate], ['the truth', truth]);
  let signal = 0;
  let error = 0;
  for (let i = 0; i < truth.length; i++) {
    signal += truth[i]! ** 2;
    error += (estimate[i]! - truth[i]!) ** 2;
  }
  return { signal, error };
}

function requireSignal(op: string, signal: number): void {
  if (signal > 0) return;
  throw new ValueError(`${op}: the truth is zero everywhere; expected an image to compare with.`);
}
