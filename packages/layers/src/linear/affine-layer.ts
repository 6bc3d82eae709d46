/** A scale and a shift of every number of a sample. Mathematics: docs/math/linear/affine-layer.md */
import { ones, type Shape, sum, type Tensor, zeros } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { requireSamples, type SampleOptions, sampleShape } from '../core/sample-shape.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { ScaleAndShift } from './scale-and-shift.ts';

/** Options of `AffineLayer`. */
export type AffineLayerOptions = SampleOptions;

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
    const shape = sampleShape('AffineLayer', options);
    this.channels = channels;
    this.size = [...size];
    this.scale = new Parameter('scale', ones(shape));
    this.shift = new Parameter('shift', zeros(shape));
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
    return requireSamples('AffineLayer', x, this.scale.shape);
  }
}
