/**
 * Squeezes by orthogonal wavelets (Daubechies, "Ten lectures on wavelets", 1992) with periodic
 * boundaries. Mathematics: docs/math/squeezes/wavelet-squeeze.md
 */
import {
  accumulate,
  concat,
  conv,
  convInputGrad,
  permute,
  requireOneOf,
  type Shape,
  sizeOf,
  slice,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Squeeze, squeezedShape } from './squeeze.ts';
import { type WaveletName, waveletFilters, waveletNames } from './wavelet-filters.ts';

/** Options of `WaveletSqueeze`. */
export interface WaveletSqueezeOptions {
  /** `db1` (Haar) to `db10`, `sym2` to `sym10`, `coif1` to `coif5`. */
  readonly wavelet: WaveletName;
}

/**
 * One level of the periodic orthonormal wavelet transform along every axis: low- and high-pass
 * filters hₘ and gₘ = (−1)ᵐ h_{L−1−m} at every second position. The first C channels are the
 * low-pass band; channels are ordered k·C + c, as by `HaarSqueeze`, which is `db1`.
 *
 * @example
 * const { y } = new WaveletSqueeze({ wavelet: 'db4' }).forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class WaveletSqueeze extends Squeeze {
  static readonly type: string = 'WaveletSqueeze';
  readonly wavelet: WaveletName;
  readonly #filters: readonly (readonly number[])[];

  /** @throws ValueError for an unknown wavelet. */
  constructor(options: WaveletSqueezeOptions) {
    super();
    requireModuleOptions('WaveletSqueeze', options, ['wavelet']);
    const { wavelet } = options;
    requireOneOf('WaveletSqueeze', 'wavelet', wavelet, waveletNames);
    this.wavelet = wavelet;
    const low: readonly number[] = waveletFilters[wavelet];
    const high = low.map((_, m) => (m % 2 ? -1 : 1) * low[low.length - 1 - m]!);
    this.#filters = [low, high];
  }

  get options() {
    return { wavelet: this.wavelet };
  }

  protected squeeze(x: Tensor): Tensor {
    const axes = x.shape.slice(2).map((_, i) => 2 + 2 * i);
    let bands = x;
    for (const axis of axes) bands = this.#analyze(bands, axis);
    // Now [N, C, 2, D/2, 2, H/2, …]: the bands go in front of the channels.
    const order = [0, ...axes, 1, ...axes.map((axis) => axis + 1)];
    return permute(bands, order).reshape(squeezedShape(x.shape));
  }

  protected unsqueeze(y: Tensor): Tensor {
    const [n, channels, ...halves] = y.shape as [number, number, ...number[]];
    const d = halves.length;
    const c = channels / 2 ** d;
    const axes = [0, d + 1, ...halves.flatMap((_, i) => [1 + i, d + 2 + i])];
    let bands = permute(y.reshape([n, ...halves.map(() => 2), c, ...halves]), axes);
    for (let axis = d - 1; axis >= 0; axis--) bands = this.#synthesize(bands, 2 + 2 * axis);
    return bands;
  }

  /** [before, n, after] → [before, 2, n/2, after] along an axis. */
  #analyze(x: Tensor, axis: number): Tensor {
    const { before, size, after } = around(x.shape, axis);
    const columns = wrap(x.reshape([before, 1, size, after]), this.#overlap);
    const y = conv(columns, this.#weights(x), { stride: [2, 1] });
    return y.reshape(x.shape.toSpliced(axis, 1, 2, size / 2));
  }

  /** The adjoint of `#analyze`: [before, 2, n/2, after] → [before, n, after]. */
  #synthesize(y: Tensor, axis: number): Tensor {
    const shape = y.shape.toSpliced(axis, 2, 2 * y.shape[axis + 1]!);
    const { before, size, after } = around(shape, axis);
    const bands = y.reshape([before, 2, size / 2, after]);
    const wrapped = [before, 1, size + this.#overlap, after];
    const x = convInputGrad(bands, this.#weights(y), wrapped, { stride: [2, 1] });
    return fold(x, size).reshape(shape);
  }

  /** How far the last filter position reaches beyond the end. */
  get #overlap(): number {
    return this.#filters[0]!.length - 2;
  }

  #weights(like: Tensor): Tensor {
    const [low, high] = this.#filters;
    return tensor(Float64Array.from([...low!, ...high!]), [2, 1, low!.length, 1], like);
  }
}

function around(shape: Shape, axis: number) {
  return {
    before: sizeOf(shape.slice(0, axis)),
    size: shape[axis]!,
    after: sizeOf(shape.slice(axis + 1)),
  };
}

/** x continued periodically along axis 2 by `extra`, which may be more than a period. */
function wrap(x: Tensor, extra: number): Tensor {
  const size = x.shape[2]!;
  const parts = [x];
  for (let rest = extra; rest > 0; rest -= size) parts.push(slice(x, 2, 0, Math.min(rest, size)));
  return parts.length === 1 ? x : concat(parts, 2);
}

/** The adjoint of `wrap`: what lies beyond the end is added where it was taken from. */
function fold(x: Tensor, size: number): Tensor {
  return tidy(() => {
    const total = slice(x, 2, 0, size);
    for (let start = size; start < x.shape[2]!; start += size) {
      const length = Math.min(size, x.shape[2]! - start);
      const part = slice(x, 2, start, length);
      if (length === size) accumulate(total, part);
      else {
        const [n, c, , after] = x.shape as [number, number, number, number];
        accumulate(total, concat([part, zeros([n, c, size - length, after], x)], 2));
      }
    }
    return total;
  });
}
