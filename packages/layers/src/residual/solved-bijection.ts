/**
 * Maps that are inverted by solving an equation: their six hooks from the forward map, its derivative and its
 * linear systems. Mathematics: docs/math/README.md#four-identities-that-hold-for-every-layer
 */
import { add, neg, sub, type Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import type { Tangent } from '../core/tangent.ts';

/** A point of a map, with what its derivatives there need. */
export interface Point {
  readonly x: Tensor;
  readonly y: Tensor;
  /** Computed where it is asked for. */
  logdet(): Tensor;
}

/** A bijection by its forward map; J = ∂f/∂x at a point. */
export abstract class SolvedBijection<P extends Point> extends Bijection {
  /** The inverse takes longer than the map. */
  override get keepsInput(): boolean {
    return true;
  }

  protected apply(x: Tensor) {
    const point = this.at(x);
    return { y: point.y, logdet: point.logdet() };
  }

  protected invert(y: Tensor) {
    const point = this.at(this.root(y));
    return { x: point.x, logdet: neg(point.logdet()) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet }: BackwardOptions, kept?: Tensor) {
    const point = this.at(kept ?? this.root(y));
    return { x: point.x, dx: this.pull(point, dy, dlogdet) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet }: BackwardOptions) {
    const point = this.at(x);
    const towardsX = dlogdet ? add(dx, this.pull(point, undefined, neg(dlogdet))) : dx;
    const dy = this.solveTransposed(point, towardsX);
    this.pull(point, neg(dy), undefined);
    return { y: point.y, dy };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const point = this.at(x);
    const [dy, dlogdet] = [this.push(point, tangent), this.pushLogdet(point, tangent)];
    return { y: point.y, dy, logdet: point.logdet(), dlogdet };
  }

  protected invertTangent(y: Tensor, { x: dy, parameters }: Tangent) {
    const point = this.at(this.root(y));
    const moved = this.push(point, { parameters });
    const towardsY = moved ? (dy ? sub(dy, moved) : neg(moved)) : dy;
    const dx = towardsY && this.solve(point, towardsY);
    const dlogdet = this.pushLogdet(point, { x: dx, parameters });
    return { x: point.x, dx, logdet: neg(point.logdet()), dlogdet: dlogdet && neg(dlogdet) };
  }

  /** f at x. */
  protected abstract at(x: Tensor): P;

  /** x = f⁻¹(y) */
  protected abstract root(y: Tensor): Tensor;

  /**
   * Jᵀdy + dlogdet·∇ₓlogdet, where what is left out is zero; adds the gradients of the parameters.
   */
  protected abstract pull(point: P, dy: Tensor | undefined, dlogdet: Tensor | undefined): Tensor;

  /** The derivative of y along a direction; undefined where nothing moves. */
  protected abstract push(point: P, tangent: Tangent): Tensor | undefined;

  /** That of the log-determinant. */
  protected abstract pushLogdet(point: P, tangent: Tangent): Tensor | undefined;

  /** J⁻¹v */
  protected abstract solve(point: P, v: Tensor): Tensor;

  /** J⁻ᵀv */
  protected abstract solveTransposed(point: P, v: Tensor): Tensor;
}
