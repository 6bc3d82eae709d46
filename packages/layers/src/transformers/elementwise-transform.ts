/** Transformers with parameters of their own. Mathematics: docs/math/transformers/transformers.md */
import {
  add,
  formatShape,
  type Shape,
  ShapeError,
  sizeOf,
  sum,
  type Tensor,
  zeros,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireModuleOptions,
  requireSpatialSizes,
  requireWhole,
} from '../core/checks.ts';
import { alongChannels, channelSums } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { requireTransformer, type Transformer } from './transformer.ts';

/** Options of `ElementwiseTransform`. */
export interface ElementwiseTransformOptions {
  readonly channels: number;
  readonly transformer: Transformer;
  /** Spatial sizes of the data, each of whose positions then has parameters. Default: all positions share them. */
  readonly size?: Shape;
}

/**
 * y = f(x; p) number by number, with parameters p for each channel, or for each number of a sample;
 * logdet = Σ log ∂f/∂x. They start at zero, which is the identity of all transformers here.
 *
 * One channel is enough: with a spline it is a density of one number.
 *
 * @example
 * const transformer = new RationalQuadraticSpline({ bins: 8, bound: 4 });
 * const layer = new ElementwiseTransform({ channels: 3, transformer });
 * const { y, logdet } = layer.forward(x); // x [N, 3, …]
 */
export class ElementwiseTransform extends Bijection {
  static readonly type: string = 'ElementwiseTransform';
  readonly channels: number;
  readonly size: Shape | undefined;
  readonly transformer: Transformer;
  /** [size·C] of the transformer's size, or [size·C, …] with the spatial sizes. */
  readonly p: Parameter;

  /** @throws ValueError for channels or sizes that are not whole and positive, or what is no transformer. */
  constructor(options: ElementwiseTransformOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ElementwiseTransform', options, ['channels', 'transformer', 'size']);
    const { channels, transformer, size } = options;
    requireWhole('ElementwiseTransform', 'channels', channels, 1);
    if (size !== undefined) requireSpatialSizes('ElementwiseTransform', 'size', size);
    this.transformer = requireTransformer('ElementwiseTransform', 'transformer', transformer);
    this.channels = channels;
    this.size = size && [...size];
    const shape = [this.transformer.size * channels, ...(size ?? [])];
    requireWhole('ElementwiseTransform', 'parameters', sizeOf(shape), 1);
    this.p = new Parameter('p', zeros(shape));
    building.complete();
  }

  get options() {
    const { channels, transformer, size } = this;
    return { channels, transformer, ...(size && { size }) };
  }

  protected apply(x: Tensor) {
    return this.transformer.apply(x, this.#over(this.p.data, x));
  }

  protected invert(y: Tensor) {
    return this.transformer.invert(y, this.#over(this.p.data, y));
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const p = this.#over(this.p.data, y);
    const { dp, ...rest } = this.transformer.applyBackward(y, p, dy, dlogdet);
    this.p.accumulateGrad(this.#gather(dp));
    return rest;
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const p = this.#over(this.p.data, x);
    const { dp, ...rest } = this.transformer.invertBackward(x, p, dx, dlogdet);
    this.p.accumulateGrad(this.#gather(dp));
    return rest;
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const [p, dp] = this.#directions(x, tangent);
    return this.transformer.applyTangent(x, p, tangent.x, dp);
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const [p, dp] = this.#directions(y, tangent);
    return this.transformer.invertTangent(y, p, tangent.x, dp);
  }

  protected override applyShape(x: Shape): Shape {
    const { channels, size } = this;
    if (size === undefined) return requireChannels('ElementwiseTransform', x, channels);
    const expected = [channels, ...size];
    if (x.length === expected.length + 1 && expected.every((s, i) => s === x[i + 1])) return x;
    throw new ShapeError(
      `ElementwiseTransform: got ${formatShape(x)}; expected [N, ${expected.join(', ')}].`,
    );
  }

  #directions(x: Tensor, { parameters }: Tangent): readonly [Tensor, Tensor | undefined] {
    const dp = parameters?.get(this.p);
    return [this.#over(this.p.data, x), dp && this.#over(dp, x)];
  }

  /** Parameters for every number of x. */
  #over(p: Tensor, x: Tensor): Tensor {
    const [n, , ...size] = x.shape;
    const own = this.size ? p : alongChannels(p, x);
    return add(zeros([n!, p.shape[0]!, ...size], p), own);
  }

  /** The adjoint of `#over`. */
  #gather(dp: Tensor): Tensor {
    return this.size ? sum(dp, { axes: [0] }) : channelSums(dp);
  }
}
