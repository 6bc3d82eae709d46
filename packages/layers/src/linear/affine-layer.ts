/** A scale and a shift of every number of a sample. Mathematics: docs/math/linear/affine-layer.md */
import {
  abs,
  add,
  div,
  formatShape,
  log,
  mul,
  neg,
  ones,
  reciprocal,
  type Shape,
  ShapeError,
  sub,
  sum,
  type Tensor,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireWhole } from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { Parameter } from '../core/parameter.ts';
import type { Tangent } from '../core/tangent.ts';

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
export class AffineLayer extends Bijection {
  static readonly type: string = 'AffineLayer';
  readonly channels: number;
  readonly size: Shape;
  readonly scale: Parameter;
  readonly shift: Parameter;

  /** @throws ValueError for channels or sizes that are not whole and positive. */
  constructor({ channels, size = [] }: AffineLayerOptions) {
    super();
    requireWhole('AffineLayer', 'channels', channels, 1);
    if (!Array.isArray(size) || size.length > 3) {
      throw new ValueError(
        `AffineLayer: size is ${JSON.stringify(size)}; expected a list of at most three axes.`,
      );
    }
    for (const s of size) requireWhole('AffineLayer', 'size', s, 1);
    this.channels = channels;
    this.size = [...size];
    this.scale = new Parameter('scale', ones([channels, ...size]));
    this.shift = new Parameter('shift', zeros([channels, ...size]));
  }

  get options() {
    return { channels: this.channels, size: this.size };
  }

  protected apply(x: Tensor) {
    return { y: this.#map(x), logdet: this.#logdet(x) };
  }

  protected invert(y: Tensor) {
    return { x: this.#mapBack(y), logdet: neg(this.#logdet(y)) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions) {
    const x = this.#mapBack(y);
    this.#accumulate(mul(dy, x), dy, dlogdet, 1);
    return { x, dx: mul(dy, this.scale.data) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const dy = div(dx, this.scale.data);
    this.#accumulate(mul(dy, x), dy, dlogdet, -1);
    return { y: this.#map(x), dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { ds, db } = this.#directions(x, tangent);
    const dy = sumOfTerms(x, tangent.x && mul(tangent.x, this.scale.data), ds && mul(x, ds), db);
    return { ...this.apply(x), dy, dlogdet: ds && this.#logdetTangent(x, ds) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const { x, logdet } = this.invert(y);
    const { ds, db } = this.#directions(y, tangent);
    const moved = sumOfTerms(y, tangent.x, ds && neg(mul(x, ds)), db && neg(db));
    const dlogdet = ds && neg(this.#logdetTangent(y, ds));
    return { x, dx: div(moved, this.scale.data), logdet, dlogdet };
  }

  protected override applyShape(x: Shape): Shape {
    const { shape } = this.scale;
    if (x.length === shape.length + 1 && shape.every((s, i) => s === x[i + 1])) return x;
    throw new ShapeError(`AffineLayer: got ${formatShape(x)}; expected [N, ${shape.join(', ')}].`);
  }

  #map(x: Tensor): Tensor {
    return add(mul(x, this.scale.data), this.shift.data);
  }

  #mapBack(y: Tensor): Tensor {
    return div(sub(y, this.shift.data), this.scale.data);
  }

  #logdet(x: Tensor): Tensor {
    return add(zeros([x.shape[0]!], x), sum(log(abs(this.scale.data))));
  }

  #logdetTangent(x: Tensor, ds: Tensor): Tensor {
    return add(zeros([x.shape[0]!], x), sum(div(ds, this.scale.data)));
  }

  /** Directions of the scale and, for each sample, of the shift. */
  #directions(x: Tensor, { parameters }: Tangent) {
    const db = parameters?.get(this.shift);
    return { ds: parameters?.get(this.scale), db: db && add(zerosLike(x), db) };
  }

  /** Adds ±Σₙ of the two gradients, and that of the log-determinant. */
  #accumulate(ds: Tensor, db: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    this.scale.accumulateGrad(sum(ds, { axes: [0] }), sign);
    this.shift.accumulateGrad(sum(db, { axes: [0] }), sign);
    if (dlogdet) {
      this.scale.accumulateGrad(mul(reciprocal(this.scale.data), sum(dlogdet)), sign);
    }
  }
}
