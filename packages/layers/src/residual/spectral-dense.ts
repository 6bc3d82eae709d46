/** A dense layer of bounded operator norm. Mathematics: docs/math/residual/spectral-layers.md */
import { matmul, type Shape } from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { requireSamples } from '../core/sample-shape.ts';
import {
  SpectralLayer,
  type SpectralOptions,
  spectralDefaults,
  spectralOptions,
} from './spectral-layer.ts';

/** Options of `SpectralDense`. */
export interface SpectralDenseOptions extends SpectralOptions {
  readonly inChannels: number;
  readonly outChannels: number;
}

/**
 * g(h) = w̃ h + b on vectors, with weights w [outChannels, inChannels] whose largest singular value is at most
 * `coefficient`, by w̃ = w/max(1, ‖w‖/coefficient).
 *
 * @example
 * const layer = new SpectralDense({ inChannels: 2, outChannels: 64 });
 */
export class SpectralDense extends SpectralLayer {
  static readonly type: string = 'SpectralDense';
  readonly options: Required<Omit<SpectralDenseOptions, 'random'>>;

  /** @throws ValueError unless sizes are whole and positive, and the coefficient lies between 0 and 1. */
  constructor(options: SpectralDenseOptions) {
    requireModuleOptions('SpectralDense', options, [
      'inChannels',
      'outChannels',
      ...spectralOptions,
    ]);
    const { inChannels, outChannels } = options;
    requireSizes('SpectralDense', { inChannels, outChannels });
    super('SpectralDense', options, [outChannels, inChannels], [inChannels], {
      product: (h, w) => matmul(h, w, { transposeB: true }),
      adjoint: (u, w) => matmul(u, w),
      outer: (u, h) => matmul(u, h, { transposeA: true }),
    });
    this.options = { inChannels, outChannels, ...spectralDefaults(options) };
  }

  outputShape(h: Shape): Shape {
    const { inChannels, outChannels } = this.options;
    requireSamples('SpectralDense', h, [inChannels]);
    return [h[0]!, outChannels];
  }
}
