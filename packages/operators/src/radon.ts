/**
 * Tomography with parallel beams: sums of an image along lines.
 * Mathematics: docs/math/operators/radon.md
 *
 * It runs on the host, in float64, where backends wait for their results: on wasm, native and reference. Left out:
 * fan and cone beams.
 */
import {
  BackendError,
  formatValue,
  requireFinite,
  requireList,
  requireOptions,
  requireWhole,
  type Shape,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { ImagingOperator, imageSize } from './operator.ts';

/** Options of `Radon`. */
export interface RadonOptions {
  /** [H, W] of images. */
  readonly size: readonly [number, number];
  /** So many views, evenly over half a turn from 0 on, or their angles in radians. */
  readonly views: number | readonly number[];
  /** Bins of the detector, a pixel wide. Default: ⌈√(H² + W²)⌉, which see the whole image. */
  readonly bins?: number;
}

/**
 * d_vb = ∫ u along the line x cos θ_v + y sin θ_v = s_b, in pixels: images [N, 1, H, W] to sinograms
 * [N, 1, views, bins]. x points right, y up, both and s from the middle of image and detector.
 *
 * Joseph's interpolation ("An improved algorithm for reprojecting rays through pixel images", 1982): a line that is
 * rather horizontal is sampled once a column, between two rows, and others once a row. `adjoint` runs through the same
 * weights and is exact; `filteredBackProjection` is the inverse.
 *
 * @example
 * const radon = new Radon({ size: [128, 128], views: 60 });
 * const sinogram = radon.forward(slices); // [N, 1, 60, 182]
 * const image = filteredBackProjection(radon, sinogram, { filter: 'hann' });
 */
export class Radon extends ImagingOperator {
  readonly domain: Shape;
  readonly range: Shape;
  /** θ_v, in radians. */
  readonly angles: readonly number[];

  /** @throws ValueError for sizes, views or bins that are not whole and positive, or angles that are not finite. */
  constructor(options: RadonOptions) {
    super();
    requireOptions('Radon', options, ['size', 'views', 'bins']);
    const [height, width] = imageSize('Radon', options.size, [MOST, MOST]);
    const { bins = Math.ceil(Math.hypot(height, width)) } = options;
    requireWhole('Radon', 'bins', bins, 1, MOST);
    this.angles = anglesOf(options.views);
    this.domain = [1, height, width];
    this.range = [1, this.angles.length, bins];
  }

  protected apply(u: Tensor): Tensor {
    const [image, rays] = [onHost('Radon', u), this.#rays()];
    const n = u.shape[0]!;
    const pixels = u.size / n;
    const result = new Float64Array(n * rays.count);
    for (let ray = 0; ray < rays.count; ray++) {
      const { indices, weights, length } = rays.at(ray);
      for (let sample = 0; sample < n; sample++) {
        let total = 0;
        for (let k = 0; k < length; k++)
          total += weights[k]! * image[sample * pixels + indices[k]!]!;
        result[sample * rays.count + ray] = total;
      }
    }
    return tensor(result, [n, ...this.range], u);
  }

  protected applyAdjoint(r: Tensor): Tensor {
    const [data, rays] = [onHost('Radon', r), this.#rays()];
    const n = r.shape[0]!;
    const [, height, width] = this.domain;
    const pixels = height! * width!;
    const result = new Float64Array(n * pixels);
    for (let ray = 0; ray < rays.count; ray++) {
      const { indices, weights, length } = rays.at(ray);
      for (let sample = 0; sample < n; sample++) {
        const value = data[sample * rays.count + ray]!;
        for (let k = 0; k < length; k++)
          result[sample * pixels + indices[k]!]! += weights[k]! * value;
      }
    }
    return tensor(result, [n, ...this.domain], r);
  }

  /** The rows of the matrix, one at a time, in arrays that the next one overwrites. */
  #rays(): Rays {
    const [, height, width] = this.domain as [number, number, number];
    const [, views, bins] = this.range as [number, number, number];
    const indices = new Int32Array(2 * Math.max(height, width));
    const weights = new Float64Array(indices.length);
    const at = (ray: number) => {
      const angle = this.angles[Math.floor(ray / bins)]!;
      const s = (ray % bins) - (bins - 1) / 2;
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
      // A position across the steps, in pixels: start + k · slope at step k.
      const horizontal = Math.abs(sine) >= Math.abs(cosine);
      const [steps, stride, across, acrossStride] = horizontal
        ? [width, 1, height, width]
        : [height, width, width, 1];
      const slope = horizontal ? cosine / sine : sine / cosine;
      const start = horizontal
        ? middleY - s / sine - middleX * slope
        : middleX + s / cosine - middleY * slope;
      const step = 1 / Math.abs(horizontal ? sine : cosine);
      let length = 0;
      for (let k = 0; k < steps; k++) {
        const position = start + k * slope;
        const first = Math.floor(position);
        const rest = position - first;
        if (first >= 0 && first < across) {
          indices[length] = k * stride + first * acrossStride;
          weights[length++] = step * (1 - rest);
        }
        if (first >= -1 && first < across - 1) {
          indices[length] = k * stride + (first + 1) * acrossStride;
          weights[length++] = step * rest;
        }
      }
      return { indices, weights, length };
    };
    return { count: views * bins, at };
  }
}

/** Rows of a sparse matrix. */
interface Rays {
  readonly count: number;
  at(ray: number): {
    readonly indices: Int32Array;
    readonly weights: Float64Array;
    readonly length: number;
  };
}

/** Most pixels, views or bins along an axis: indices of pixels are 32-bit integers. */
const MOST = 2 ** 15;

function anglesOf(views: number | readonly number[]): readonly number[] {
  if (typeof views === 'number') {
    requireWhole('Radon', 'views', views, 1, MOST);
    return Array.from({ length: views }, (_, v) => (Math.PI * v) / views);
  }
  requireList('Radon', 'views', views, 'their number, or a list of angles');
  if (views.length === 0 || views.length > MOST) {
    throw new ValueError(
      `Radon: views are ${formatValue(views)}; expected 1 to ${MOST} angles, in radians.`,
    );
  }
  views.forEach((angle, v) => {
    requireFinite('Radon', `the angle of view ${v}`, angle);
  });
  return [...views];
}

/** The numbers of a tensor, at once. @throws BackendError on a backend that computes later. */
export function onHost(op: string, x: Tensor): ArrayLike<number> {
  try {
    return x.dataSync();
  } catch (cause) {
    if (!(cause instanceof BackendError)) throw cause;
    throw new BackendError(
      `${op}: it runs on the host, and ${x.backend.name} computes later; expected tensors on wasm, native or ` +
        'reference.',
      { cause },
    );
  }
}
