/** Computed tomography with parallel beams. */
import { filteredBackProjection, type LinearMap, Radon } from '@invnet/operators';
import {
  add,
  affine,
  clone,
  max,
  mul,
  ones,
  type RandomStream,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import { type Modality, reciprocalMaxima, type Scan } from './modality.ts';

/** Deviation of the noise, relative to the largest number of a sinogram. */
const noise = 0.01;

/** Few views, noise, and filtered back-projection with a Hann window to start from. */
export class ParallelBeamCt implements Modality {
  readonly channels = 1;
  readonly scans: string;
  readonly classical = 'filtered back-projection';
  readonly operator: LinearMap;
  readonly #radon: Radon;
  readonly #unit: number;

  /** For images of `size` × `size` seen from so many angles. */
  constructor({ size, views }: { readonly size: number; readonly views: number }) {
    const radon = new Radon({ size: [size, size], views });
    this.scans = `${views} views`;
    this.#radon = radon;
    this.#unit = 1 / normBound(radon);
    const { domain, range } = radon;
    this.operator = {
      domain,
      range,
      forward: (u) => tidy(() => affine(radon.forward(u), this.#unit)),
      adjoint: (r) => tidy(() => affine(radon.adjoint(r), this.#unit)),
    };
  }

  async scan(magnitudes: Tensor, random: RandomStream): Promise<Scan> {
    const [count, height, width] = magnitudes.shape as [number, number, number];
    const images = magnitudes.reshape([count, 1, height, width]);
    using data = tidy(() => {
      const exact = this.operator.forward(images);
      const largest = max(exact, { axes: [1, 2, 3], keepDims: true });
      return add(exact, mul(random.normal(exact.shape, noise), largest));
    });
    using start = tidy(() =>
      filteredBackProjection(this.#radon, affine(data, 1 / this.#unit), { filter: 'hann' }),
    );
    const factors = await reciprocalMaxima(start);
    return tidy(() => {
      const factor = tensor(factors, [count, 1, 1, 1]);
      return {
        truth: mul(images, factor),
        data: mul(data, factor),
        start: mul(start, factor),
        prepare: () => {},
      };
    });
  }

  /** Nothing is measured exactly. */
  consistent(images: Tensor): Tensor {
    return clone(images);
  }

  throughConsistent(gradient: Tensor): Tensor {
    return clone(gradient);
  }
}

/** ‖A‖² ≤ max(A 1) · max(Aᵀ 1), for A has no weight below 0 (Schur's test). */
function normBound(radon: Radon): number {
  return tidy(() => {
    const [rays, pixels] = [
      radon.forward(ones([1, ...radon.domain])),
      radon.adjoint(ones([1, ...radon.range])),
    ];
    return Math.sqrt(mul(max(rays), max(pixels)).dataSync()[0]!);
  });
}
