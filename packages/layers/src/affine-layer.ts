/** A scale and a shift of every number of a sample. Mathematics: docs/math/affine-layer.md */
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
  tidy,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireTangent, requireWhole, sumOfTerms } from './checks.ts';
import { Parameter } from './parameter.ts';

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
export class AffineLayer implements Bijection {
  readonly scale: Parameter;
  readonly shift: Parameter;
  readonly parameters: readonly Parameter[];

  /** @throws ValueError for channels or sizes that are not whole and positive. */
  constructor({ channels, size = [] }: AffineLayerOptions) {
    requireWhole('AffineLayer', 'channels', channels, 1);
    if (size.length > 3) {
      throw new ValueError(`AffineLayer: size ${formatShape(size)}; expected at most three axes.`);
    }
    for (const s of size) requireWhole('AffineLayer', 'size', s, 1);
    this.scale = new Parameter('scale', ones([channels, ...size]));
    this.shift = new Parameter('shift', zeros([channels, ...size]));
    this.parameters = [this.scale, this.shift];
  }

  forward(x: Tensor): { y: Tensor; logdet: Tensor } {
    this.#check(x);
    return tidy(() => ({ y: this.#apply(x), logdet: this.#logdet(x) }));
  }

  inverse(y: Tensor): { x: Tensor; logdet: Tensor } {
    this.#check(y);
    return tidy(() => ({ x: this.#invert(y), logdet: neg(this.#logdet(y)) }));
  }

  backward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions = {}): { x: Tensor; dx: Tensor } {
    this.#check(y);
    return tidy(() => {
      const x = this.#invert(y);
      this.#accumulate(mul(dy, x), dy, dlogdet, 1);
      return { x, dx: mul(dy, this.scale.data) };
    });
  }

  backwardInverse(
    x: Tensor,
    dx: Tensor,
    { dlogdet }: BackwardOptions = {},
  ): { y: Tensor; dy: Tensor } {
    this.#check(x);
    return tidy(() => {
      const dy = div(dx, this.scale.data);
      this.#accumulate(mul(dy, x), dy, dlogdet, -1);
      return { y: this.#apply(x), dy };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('AffineLayer', x, tangent, this.parameters);
    this.#check(x);
    return tidy(() => {
      const ds = tangent.parameters?.get(this.scale);
      const dy = sumOfTerms(
        x,
        tangent.x && mul(tangent.x, this.scale.data),
        ds && mul(x, ds),
        this.#shiftTangent(x, tangent),
      );
      const dlogdet = this.#logdetTangent(x, ds);
      return { y: this.#apply(x), dy, logdet: this.#logdet(x), dlogdet };
    });
  }

  jvpInverse(
    y: Tensor,
    tangent: Tangent,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor } {
    requireTangent('AffineLayer', y, tangent, this.parameters);
    this.#check(y);
    return tidy(() => {
      const x = this.#invert(y);
      const ds = tangent.parameters?.get(this.scale);
      const db = this.#shiftTangent(y, tangent);
      const moved = sumOfTerms(y, tangent.x, ds && neg(mul(x, ds)), db && neg(db));
      const dlogdet = neg(this.#logdetTangent(y, ds));
      return { x, dx: div(moved, this.scale.data), logdet: neg(this.#logdet(y)), dlogdet };
    });
  }

  #apply(x: Tensor): Tensor {
    return add(mul(x, this.scale.data), this.shift.data);
  }

  #invert(y: Tensor): Tensor {
    return div(sub(y, this.shift.data), this.scale.data);
  }

  #logdet(x: Tensor): Tensor {
    return add(zeros([x.shape[0]!], x), sum(log(abs(this.scale.data))));
  }

  #logdetTangent(x: Tensor, ds: Tensor | undefined): Tensor {
    const none = zeros([x.shape[0]!], x);
    return ds ? add(none, sum(div(ds, this.scale.data))) : none;
  }

  #shiftTangent(x: Tensor, tangent: Tangent): Tensor | undefined {
    const db = tangent.parameters?.get(this.shift);
    return db && add(zerosLike(x), db);
  }

  /** Adds ±Σₙ of the two gradients, and that of the log-determinant. */
  #accumulate(ds: Tensor, db: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    this.scale.accumulateGrad(sum(ds, { axes: [0] }), sign);
    this.shift.accumulateGrad(sum(db, { axes: [0] }), sign);
    if (dlogdet) {
      this.scale.accumulateGrad(mul(reciprocal(this.scale.data), sum(dlogdet)), sign);
    }
  }

  #check(x: Tensor): void {
    const { shape } = this.scale;
    if (x.rank === shape.length + 1 && shape.every((s, i) => s === x.shape[i + 1])) return;
    throw new ShapeError(
      `AffineLayer: got ${formatShape(x.shape)}; expected [N, ${shape.join(', ')}].`,
    );
  }
}
