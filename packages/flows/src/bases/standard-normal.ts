/** The base distribution of most flows. Mathematics: docs/math/flows/bases.md */
import { perSample, requireModuleOptions } from '@invnet/layers';
import { affine, mul, neg, type Shape, square, sumPerSample, type Tensor } from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';

/**
 * Independent standard normal numbers: log p(z) = −½ Σ z² − ½ D log 2π over D dimensions.
 *
 * @example new StandardNormal().logProb(z) // [N]
 */
export class StandardNormal extends BaseDistribution {
  static readonly type: string = 'StandardNormal';

  constructor(options: Readonly<Record<string, never>> = {}) {
    super();
    requireModuleOptions('StandardNormal', options, []);
  }

  get options() {
    return {};
  }

  protected density(z: Tensor): Tensor {
    const samples = sumPerSample(square(z));
    const dims = z.size / samples.size;
    return affine(samples, -0.5, -0.5 * dims * Math.log(2 * Math.PI));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor) {
    return { logProb: this.density(z), dz: neg(mul(z, perSample(dlogProb, z))) };
  }

  protected draw(shape: Shape, { random, temperature }: Draw): Tensor {
    return random.normal(shape, temperature);
  }
}

/** A `StandardNormal`. */
export function standardNormal(): StandardNormal {
  return new StandardNormal();
}
