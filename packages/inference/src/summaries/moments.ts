/** Means and deviations of arrays, by which networks are made to see numbers of size one. */
import type { HostArray } from '@invnet/datasets';
import type { Moments } from '@invnet/layers';

/**
 * Of each channel, which lie along `axis`, over everything else. What is constant has the deviation 1, and is centered.
 *
 * @example momentsOf({ shape: [2, 2], data: Float64Array.of(0, 5, 2, 5) }, 1) // mean [1, 5], deviation [1, 1]
 */
export function momentsOf({ shape, data }: HostArray, axis: number): Moments {
  const channels = shape[axis]!;
  const stride = shape.slice(axis + 1).reduce((product, n) => product * n, 1);
  const channelOf = (i: number) => Math.floor(i / stride) % channels;
  const count = data.length / channels;
  const mean = new Array<number>(channels).fill(0);
  for (let i = 0; i < data.length; i++) mean[channelOf(i)]! += data[i]! / count;
  const variance = new Array<number>(channels).fill(0);
  for (let i = 0; i < data.length; i++) {
    variance[channelOf(i)]! += (data[i]! - mean[channelOf(i)]!) ** 2 / count;
  }
  const deviation = variance.map((v, c) => {
    // Rounding leaves a constant a deviation of its last digits.
    const found = Math.sqrt(v);
    return found > 1e-10 * Math.abs(mean[c]!) ? found : 1;
  });
  return { mean, deviation };
}

/** Mean and deviation of each column of rows; the deviation of what does not vary is 1. */
export function columnMoments(
  rows: ArrayLike<number>,
  size: number,
): { mean: Float64Array; deviation: Float64Array } {
  const count = rows.length / size;
  const mean = new Float64Array(size);
  const deviation = new Float64Array(size);
  for (let i = 0; i < rows.length; i++) mean[i % size]! += rows[i]! / count;
  for (let i = 0; i < rows.length; i++) {
    deviation[i % size]! += (rows[i]! - mean[i % size]!) ** 2 / count;
  }
  return { mean, deviation: deviation.map((variance) => Math.sqrt(variance) || 1) };
}
