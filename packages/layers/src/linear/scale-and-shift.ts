/**
 * A scale and a shift, whatever numbers of a sample each entry of them acts on.
 * Mathematics: docs/math/linear/affine-layer.md
 */
import {
  abs,
  add,
  affine,
  div,
  log,
  mul,
  neg,
  reciprocal,
  sub,
  sum,
  type Tensor,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';

/** y = s ⊙ x + b; logdet = P·Σ log|s|, P being how many numbers of a sample an entry of s acts on. */
export abstract class ScaleAndShift extends Bijection {
  abstract readonly scale: Parameter;
  abstract readonly shift: Parameter;

  /** A tensor of the parameters' shape, as it is broadcast over x. */
  protected abstract over(v: Tensor, x: Tensor): Tensor;
  /** The adjoint of `over`: sums over all that an entry acts on, of the parameters' shape. */
  protected abstract gather(x: Tensor): Tensor;
  /** P */
  protected abstract reach(x: Tensor): number;

  protected apply(x: Tensor) {
    return this.map(x);
  }

  protected invert(y: Tensor) {
    return this.mapBack(y);
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const x = kept ?? this.mapBack(y).x;
    this.#accumulate(mul(dy, x), dy, dlogdet, 1);
    return { x, dx: mul(dy, this.over(this.scale.data, y)) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const dy = div(dx, this.over(this.scale.data, x));
    this.#accumulate(mul(dy, x), dy, dlogdet, -1);
    return { y: kept ?? this.map(x).y, dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { ds, db } = this.#directions(tangent, x);
    const dx = tangent.x && mul(tangent.x, this.over(this.scale.data, x));
    const dy = sumOfTerms(x, dx, ds && mul(x, this.over(ds, x)), db);
    return { ...this.map(x), dy, dlogdet: ds && this.#perSample(x, div(ds, this.scale.data)) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    const { x, logdet } = this.mapBack(y);
    const { ds, db } = this.#directions(tangent, y);
    const moved = sumOfTerms(y, tangent.x, ds && neg(mul(x, this.over(ds, x))), db && neg(db));
    const dlogdet = ds && neg(this.#perSample(y, div(ds, this.scale.data)));
    return { x, dx: div(moved, this.over(this.scale.data, y)), logdet, dlogdet };
  }

  protected map(x: Tensor): { y: Tensor; logdet: Tensor } {
    const scaled = mul(x, this.over(this.scale.data, x));
    return { y: add(scaled, this.over(this.shift.data, x)), logdet: this.#logdet(x) };
  }

  protected mapBack(y: Tensor): { x: Tensor; logdet: Tensor } {
    const centered = sub(y, this.over(this.shift.data, y));
    return { x: div(centered, this.over(this.scale.data, y)), logdet: neg(this.#logdet(y)) };
  }

  #logdet(x: Tensor): Tensor {
    return this.#perSample(x, log(abs(this.scale.data)));
  }

  /** P Σ v for each sample. */
  #perSample(x: Tensor, v: Tensor): Tensor {
    return add(zeros([x.shape[0]!], x), affine(sum(v), this.reach(x)));
  }

  /** Directions of the scale and, for each number of x, of the shift. */
  #directions({ parameters }: Tangent, x: Tensor) {
    const db = parameters?.get(this.shift);
    return { ds: parameters?.get(this.scale), db: db && add(zerosLike(x), this.over(db, x)) };
  }

  /** Adds ± the gradients, per number of a sample, and that of the log-determinant. */
  #accumulate(ds: Tensor, db: Tensor, dlogdet: Tensor | undefined, sign: 1 | -1): void {
    if (dlogdet) {
      const gradient = mul(reciprocal(this.scale.data), sum(dlogdet));
      this.scale.accumulateGrad(gradient, sign * this.reach(ds));
    }
    this.scale.accumulateGrad(this.gather(ds), sign);
    this.shift.accumulateGrad(this.gather(db), sign);
  }
}
