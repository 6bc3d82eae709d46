/** A leapfrog step of a wave equation. Mathematics: docs/math/couplings/hyperbolic-layer.md */
import {
  add,
  affine,
  neg,
  type Shape,
  ShapeError,
  sub,
  type Tensor,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { PairBijection } from '../core/bijection.ts';
import { type Conditioner, evaluate, requireConditioner } from '../core/conditioner.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { formatStateShape, type Pair, sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `Leapfrog`. */
export interface LeapfrogOptions {
  /** g, which keeps the shape. */
  readonly force: Conditioner;
  /** Step size α of the second time derivative. */
  readonly stepSize: number;
}

/** (x₀, x₁) ↦ (x₁, 2x₁ − x₀ + α g(x₁)); logdet = 0. `backward` evaluates g once. */
export class Leapfrog extends PairBijection {
  static readonly type: string = 'Leapfrog';
  readonly force: Conditioner;
  readonly stepSize: number;

  /** @throws ValueError unless the step size is finite. */
  constructor({ force, stepSize }: LeapfrogOptions) {
    super();
    if (!Number.isFinite(stepSize)) {
      throw new ValueError(`Leapfrog: stepSize is ${stepSize}; expected a finite number.`);
    }
    this.force = requireConditioner('Leapfrog', 'force', force);
    this.stepSize = stepSize;
  }

  get options() {
    return { force: this.force, stepSize: this.stepSize };
  }

  protected apply([x0, x1]: Pair) {
    return { y: [x1, this.#next(x0, x1)] as const };
  }

  protected invert([x1, x2]: Pair) {
    return { x: [this.#next(x2, x1), x1] as const };
  }

  protected applyBackward([x1, x2]: Pair, [dx1, dx2]: Pair) {
    const { other, through } = this.#back(x1, x2, dx2);
    return { x: [other, x1] as const, dx: [neg(dx2), add(dx1, through)] as const };
  }

  protected invertBackward([x0, x1]: Pair, [dx0, dx1]: Pair) {
    const { other, through } = this.#back(x1, x0, dx0);
    return { y: [x1, other] as const, dy: [add(dx1, through), neg(dx0)] as const };
  }

  protected applyTangent([x0, x1]: Pair, tangent: Tangent<Pair>) {
    const [dx0, dx1] = tangent.x ?? [];
    const { other, dother } = this.#tangent(x0, x1, dx0, dx1, tangent);
    return { y: [x1, other] as const, dy: [dx1 ?? zerosLike(x1), dother] as const };
  }

  protected invertTangent([x1, x2]: Pair, tangent: Tangent<Pair>) {
    const [dx1, dx2] = tangent.x ?? [];
    const { other, dother } = this.#tangent(x2, x1, dx2, dx1, tangent);
    return { x: [other, x1] as const, dx: [dother, dx1 ?? zerosLike(x1)] as const };
  }

  protected override applyShape(x: readonly [Shape, Shape]): readonly [Shape, Shape] {
    const [first, second] = x;
    const force = this.force.outputShape(second);
    for (const shape of [first, ...(force ? [force] : [])]) {
      if (sameShape(shape, second)) continue;
      throw new ShapeError(
        `Leapfrog: got ${formatStateShape(x)}; expected two states of one shape, and a force of it.`,
      );
    }
    return x;
  }

  /** 2x₁ − `other` + α g(x₁): the step is its own inverse, with time reversed. */
  #next(other: Tensor, x1: Tensor): Tensor {
    const force = evaluate(this.force, x1);
    return sub(add(affine(x1, 2), affine(force, this.stepSize)), other);
  }

  /** The state on the other side, and the gradient that reaches x₁ from it. */
  #back(x1: Tensor, given: Tensor, gradient: Tensor): { other: Tensor; through: Tensor } {
    const { y: force, saved } = this.force.forward(x1);
    const other = sub(add(affine(x1, 2), affine(force, this.stepSize)), given);
    const { dx } = this.force.backward(affine(gradient, this.stepSize), saved);
    saved.dispose();
    return { other, through: add(affine(gradient, 2), dx) };
  }

  #tangent(
    given: Tensor,
    x1: Tensor,
    dgiven: Tensor | undefined,
    dx1: Tensor | undefined,
    tangent: Tangent<Pair>,
  ): { other: Tensor; dother: Tensor } {
    const { y: force, dy } = this.force.jvp(x1, { x: dx1, parameters: tangent.parameters });
    const other = sub(add(affine(x1, 2), affine(force, this.stepSize)), given);
    const dother = sumOfTerms(
      x1,
      affine(dy, this.stepSize),
      dx1 && affine(dx1, 2),
      dgiven && neg(dgiven),
    );
    return { other, dother };
  }
}
