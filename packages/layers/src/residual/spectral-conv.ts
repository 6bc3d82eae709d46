/** A convolution of bounded operator norm. Mathematics: docs/math/residual/spectral-layers.md */
import {
  conv,
  convFilterGrad,
  convInputGrad,
  formatValue,
  type Shape,
  ValueError,
} from '@invnet/tensor';
import {
  requireModuleOptions,
  requireOddKernel,
  requireSizes,
  requireSpatialSizes,
} from '../core/checks.ts';
import { requireSamples } from '../core/sample-shape.ts';
import {
  SpectralLayer,
  type SpectralOptions,
  spectralDefaults,
  spectralOptions,
} from './spectral-layer.ts';

/** Options of `SpectralConv`. */
export interface SpectralConvOptions extends SpectralOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Spatial sizes of the data, one to three: the norm of a convolution depends on them. */
  readonly size: Shape;
  /** Odd kernel size along each axis. Default: 3. */
  readonly kernel?: number;
}

/**
 * g(h) = w̃ ∗ h + b on images of one size, padded with zeros to keep it, whose operator norm is at most
 * `coefficient`. That is the norm of the convolution as a linear map of whole images, and not that of its weights
 * as a matrix, which may be several times smaller.
 *
 * @example
 * const layer = new SpectralConv({ inChannels: 3, outChannels: 32, size: [32, 32] });
 */
export class SpectralConv extends SpectralLayer {
  static readonly type: string = 'SpectralConv';
  readonly options: Required<Omit<SpectralConvOptions, 'random'>>;

  /**
   * @throws ValueError unless sizes are whole and positive, the kernel is odd, and the coefficient lies between 0
   * and 1; and without `size`.
   */
  constructor(options: SpectralConvOptions) {
    requireModuleOptions('SpectralConv', options, [
      'inChannels',
      'outChannels',
      'size',
      'kernel',
      ...spectralOptions,
    ]);
    const { inChannels, outChannels, size, kernel = 3 } = options;
    requireSizes('SpectralConv', { inChannels, outChannels });
    requireOddKernel('SpectralConv', 'kernel', kernel);
    if (size === undefined || size.length === 0) {
      throw new ValueError(
        `SpectralConv: size is ${formatValue(size)}; expected the spatial sizes of the data, such as ` +
          '[32, 32], which the norm of a convolution depends on.',
      );
    }
    requireSpatialSizes('SpectralConv', 'size', size);
    const geometry = { padding: (kernel - 1) / 2 };
    const shape = [outChannels, inChannels, ...size.map(() => kernel)];
    super('SpectralConv', options, shape, [inChannels, ...size], {
      product: (h, w) => conv(h, w, geometry),
      adjoint: (u, w, h) => convInputGrad(u, w, h, geometry),
      outer: (u, h) => convFilterGrad(h, u, shape, geometry),
    });
    const sizes = { inChannels, outChannels, size: [...size], kernel };
    this.options = { ...sizes, ...spectralDefaults(options) };
  }

  outputShape(h: Shape): Shape {
    const { inChannels, outChannels, size } = this.options;
    requireSamples('SpectralConv', h, [inChannels, ...size]);
    return [h[0]!, outChannels, ...size];
  }
}
