/** A scale and a shift of every number of a sample. Mathematics: docs/math/linear/affine-layer.md */
import {
  formatShape,
  ones,
  type Shape,
  ShapeError,
  sizeOf,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions, requireSpatialSizes, requireWhole } from '../core/checks.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { ScaleAndShift } from './scale-and-shift.ts';

/** Options of `AffineLayer`. */
export interface AffineLayerOptions {
  readonly channels: number;
  /** Spatial sizes of the data; none for vectors. Default: []. */
  readonly size?: Shape;
}

/**
 * y = s ⊙ x + b, with a scale and a shift per position and channel; logdet = Σ log|s|. It starts as
 * the identity.
 *
 * @example
 * const layer = new AffineLayer({ channels: 3, size: [32, 32] });
 * const { y, logdet } = layer.forward(x); // x [N, 3, 32, 32]
 */
export class AffineLayer extends ScaleAndShift {
  static readonly type: string = 'AffineLayer';
  readonly channels: number;
  readonly size: Shape;
  readonly scale: Parameter;
  readonly shift: Parameter;

  /** @throws ValueError for channels or sizes that are not whole and positive. */
  constructor(options: AffineLayerOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('AffineLayer', options, ['channels', 'size']);
    const { channels, size = [] } = options;
    requireWhole('AffineLayer', 'channels', channels, 1);
    requireSpatialSizes('AffineLayer', 'size', size);
    requireWhole('AffineLayer', 'channels × size', sizeOf([channels, ...size]), 1);
    this.channels = channels;
    this.size = [...size];
    this.scale = new Parameter('scale', ones([channels, ...size]));
    this.shift = new Parameter('shift', zeros([channels, ...size]));
    building.complete();
  }

  get options() {
    return { channels: this.channels, size: this.size };
  }

  protected over(v: Tensor): Tensor {
    return v;
  }

  protected gather(x: Tensor): Tensor {
    return sum(x, { axes: [0] });
  }

  protected reach(): number {
    return 1;
  }

  protected override applyShape(x: Shape): Shape {
    const { shape } = this.scale;
    if (x.length === shape.length + 1 && shape.every((s, i) => s === x[i + 1])) return x;
    throw new ShapeError(`AffineLayer: got ${formatShape(x)}; expected [N, ${shape.join(', ')}].`);
  }
}
