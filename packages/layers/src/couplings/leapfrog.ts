/** A leapfrog step of a wave equation. Mathematics: docs/math/couplings/hyperbolic-layer.md */
import {
  add,
  affine,
  neg,
  requireFinite,
  type Shape,
  ShapeError,
  sub,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { type BackwardOptions, PairBijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
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

/** (x₀, x₁) ↦ (x₁, 2x₁ − x₀ + α g(x₁, context)); logdet = 0. `backward` evaluates g once. */
export class Leapfrog extends PairBijection {
  static readonly type: string = 'Leapfrog';
  readonly force: Conditioner;
  readonly stepSize: number;

  /** @throws ValueError unless the step size is finite. */
  constructor(options: LeapfrogOptions) {
    super();
    requireModuleOptions('Leapfrog', options, ['force', 'stepSize']);
    const { force, stepSize } = options;
    requireFinite('Leapfrog', 'stepSize', stepSize);
    this.force = requireConditioner('Leapfrog', 'force', force);
    this.stepSize = stepSize;
  }

  get options() {
    return { force: this.force, stepSize: this.stepSize };
  }

  protected apply([x0, x1]: Pair, context?: Tensor) {
    return { y: [x1, this.#next(x0, x1, context)] as const };
  }

  protected invert([x1, x2]: Pair, context?: Tensor) {
    return { x: [this.#next(x2, x1, context), x1] as const };
  }

  protected applyBackward(
    [x1, x2]: Pair,
    [dx1, dx2]: Pair,
    { context }: BackwardOptions,
    kept?: Pair,
  ) {
    const { other, through, ...rest } = this.#back(x1, x2, dx2, context, kept?.[0]);
    return { x: [other, x1] as const, dx: [neg(dx2), add(dx1, through)] as const, ...rest };
  }

  protected invertBackward(
    [x0, x1]: Pair,
    [dx0, dx1]: Pair,
    { context }: BackwardOptions,
    kept?: Pair,
  ) {
    const { other, through, ...rest } = this.#back(x1, x0, dx0, context, kept?.[1]);
    return { y: [x1, other] as const, dy: [add(dx1, through), neg(dx0)] as const, ...rest };
  }

  protected applyTangent([x0, x1]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx0, dx1] = tangent.x ?? [];
    const { other, dother } = this.#tangent(x0, x1, dx0, dx1, tangent, context);
    return { y: [x1, other] as const, dy: [dx1 ?? zerosLike(x1), dother] as const };
  }

  protected invertTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const { other, dother } = this.#tangent(x2, x1, dx2, dx1, tangent, context);
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
  #next(other: Tensor, x1: Tensor, context: Tensor | undefined): Tensor {
    const force = evaluate(this.force, x1, context);
    return sub(add(affine(x1, 2), affine(force, this.stepSize)), other);
  }

  /** The state on the other side, and the gradients that reach x₁ and the context from it. */
  #back(x1: Tensor, given: Tensor, gradient: Tensor, context: Tensor | undefined, kept?: Tensor) {
    const { y: force, saved } = this.force.forward(x1, context);
    const other = kept ?? sub(add(affine(x1, 2), affine(force, this.stepSize)), given);
    const { dx, ...rest } = this.force.backward(affine(gradient, this.stepSize), saved);
    saved.dispose();
    return { other, through: add(affine(gradient, 2), dx), ...rest };
  }

  #tangent(
    given: Tensor,
    x1: Tensor,
    dgiven: Tensor | undefined,
    dx1: Tensor | undefined,
    tangent: Tangent<Pair>,
    context: Tensor | undefined,
  ): { other: Tensor; dother: Tensor } {
    const { y: force, dy } = this.force.jvp(x1, { ...tangent, x: dx1 }, context);
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
