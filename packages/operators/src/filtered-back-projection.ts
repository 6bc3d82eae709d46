/** The direct inverse of the Radon transform. Mathematics: docs/math/operators/radon.md */
import {
  formatShape,
  formatValue,
  matmul,
  requireOneOf,
  requireOptions,
  requireTensor,
  ShapeError,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { onHost, Radon } from './radon.ts';

/** Options of `filteredBackProjection`. */
export interface FilteredBackProjectionOptions {
  /** The ramp |f|, or the ramp times a Hann window, which damps high frequencies. Default: `ramp`. */
  readonly filter?: 'ramp' | 'hann';
}

/**
 * u(x, y) = π/V Σ_v (h ∗ d_v)(x cos θ_v + y sin θ_v) for V views evenly over half a turn, with linear interpolation
 * between bins: sinograms [N, 1, views, bins] to images [N, 1, H, W]. As scikit-image's `iradon`, where the detector
 * sees the pixel; beyond it there are zeros.
 *
 * @throws ValueError for views that are not even: its sum is no integral over them.
 * @throws ShapeError for data of another shape than the operator's. @throws BackendError where results come later.
 * @example const image = filteredBackProjection(radon, sinogram, { filter: 'hann' });
 */
export function filteredBackProjection(
  radon: Radon,
  data: Tensor,
  options: FilteredBackProjectionOptions = {},
): Tensor {
  requireOptions('filteredBackProjection', options, ['filter']);
  const { filter = 'ramp' } = options;
  requireOneOf('filteredBackProjection', 'filter', filter, ['ramp', 'hann']);
  if (!(radon instanceof Radon)) {
    throw new ValueError(
      `filteredBackProjection: radon is ${formatValue(radon)}; expected a Radon, whose angles it needs.`,
    );
  }
  requireEven(radon.angles);
  const [, views, bins] = radon.range as [number, number, number];
  const [, height, width] = radon.domain as [number, number, number];
  const [n, ...sample] = requireTensor('filteredBackProjection', data, 'data').shape;
  if (sample.length !== 3 || sample.some((s, i) => s !== radon.range[i])) {
    throw new ShapeError(
      `filteredBackProjection: data of ${formatShape(data.shape)}; expected [N, 1, ${views}, ${bins}].`,
    );
  }
  const filtered = tidy(() => {
    const rows = matmul(data.reshape([n! * views, bins]), filterMatrix(filter, bins, data));
    return onHost('filteredBackProjection', rows);
  });
  const result = new Float64Array(n! * height * width);
  radon.angles.forEach((angle, v) => {
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    for (let k = 0, at = 0; k < n!; k++) {
      const row = (k * views + v) * bins;
      for (let i = 0; i < height; i++) {
        const y = (height - 1) / 2 - i;
        for (let j = 0; j < width; j++, at++) {
          const s = (j - (width - 1) / 2) * cosine + y * sine + (bins - 1) / 2;
          const bin = Math.floor(s);
          const rest = s - bin;
          // Beyond the detector there is nothing.
          if (bin >= 0 && bin < bins) result[at]! += (1 - rest) * filtered[row + bin]!;
          if (bin >= -1 && bin < bins - 1) result[at]! += rest * filtered[row + bin + 1]!;
        }
      }
    }
  });
  return tensor(
    result.map((v) => (Math.PI / views) * v),
    [n!, ...radon.domain],
    data,
  );
}

/** Convolution of a row with the filter, as a symmetric matrix [bins, bins]. */
function filterMatrix(filter: 'ramp' | 'hann', bins: number, place: Tensor): Tensor {
  // The ramp up to the highest frequency that bins hold, as numbers in space.
  const ramp = (m: number) => (m === 0 ? 1 / 4 : m % 2 === 0 ? 0 : -1 / (Math.PI * m) ** 2);
  // The window ½ + ½ cos 2πf is an average of neighbours.
  const hann = (m: number) => ramp(m) / 2 + (ramp(m - 1) + ramp(m + 1)) / 4;
  const at = filter === 'ramp' ? ramp : hann;
  const kernel = Float64Array.from({ length: bins }, (_, m) => at(m));
  const matrix = new Float64Array(bins * bins).map(
    (_, k) => kernel[Math.abs(Math.floor(k / bins) - (k % bins))]!,
  );
  return tensor(matrix, [bins, bins], place);
}

/** @throws ValueError unless the angles divide half a turn into equal parts, in any order. */
function requireEven(angles: readonly number[]): void {
  const step = Math.PI / angles.length;
  const from = angles[0]!;
  const places = new Set(
    angles.map((angle) => {
      const steps = (angle - from) / step;
      const place = Math.round(steps);
      return Math.abs(steps - place) < 1e-6 ? modulo(place, angles.length) : undefined;
    }),
  );
  if (places.size === angles.length && !places.has(undefined)) return;
  throw new ValueError(
    `filteredBackProjection: the views are ${formatValue(angles)}; expected angles that are even over half a turn, ` +
      'as of Radon({ views: 60 }). Fit data of other views by totalVariation.',
  );
}

function modulo(a: number, n: number): number {
  return ((a % n) + n) % n;
}
