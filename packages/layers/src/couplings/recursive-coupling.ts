/**
 * One node of the recursion of HINT (Kruse et al., "HINT: hierarchical invertible neural transport
 * for density estimation and Bayesian inference", 2021): two maps beside each other and a coupling
 * from one to the other. Mathematics: docs/math/couplings/hint-coupling.md
 */
import { type Shape, type Tensor, zerosLike } from '@invnet/tensor';
import {
  type BackwardOptions,
  type Bijection,
  PairBijection,
  requireBijection,
} from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import type { Pair } from '../core/state.ts';
import { addOwned, sumOfContexts, sumOfLogdets } from '../core/sums.ts';
import type { Tangent } from '../core/tangent.ts';

/** The parts of a node. */
export interface RecursiveCouplingParts {
  /** Maps x₁. */
  readonly first: Bijection;
  /** Maps x₂, before the coupling. */
  readonly second: Bijection;
  /** Moves the second in dependence on x₁. */
  readonly coupling: Bijection<Pair>;
}

/**
 * (x₁, x₂) ↦ (A(x₁), c₂(x₁, B(x₂))) with A = `first`, B = `second` and c₂ the second result of the
 * coupling, whose first is x₁; log-determinants add up.
 *
 * `backward` evaluates each conditioner inside once: A's backward gives the x₁ that the coupling
 * needs.
 */
export class RecursiveCoupling extends PairBijection {
  static readonly type: string = 'RecursiveCoupling';
  readonly coupling: Bijection<Pair>;
  readonly first: Bijection;
  readonly second: Bijection;

  constructor(options: RecursiveCouplingParts) {
    super();
    requireModuleOptions('RecursiveCoupling', options, ['first', 'second', 'coupling']);
    const { first, second, coupling } = options;
    this.coupling = requireBijection('RecursiveCoupling', 'coupling', coupling, 2);
    this.first = requireBijection('RecursiveCoupling', 'first', first, 1);
    this.second = requireBijection('RecursiveCoupling', 'second', second, 1);
  }

  get options() {
    return { first: this.first, second: this.second, coupling: this.coupling };
  }

  protected apply([x1, x2]: Pair, context?: Tensor) {
    const { y: inner, logdet: l2 } = this.second.forward(x2, context);
    const { y: coupled, logdet: lc } = this.coupling.forward([x1, inner], context);
    inner.dispose();
    coupled[0].dispose();
    const { y: y1, logdet: l1 } = this.first.forward(x1, context);
    return { y: [y1, coupled[1]] as const, logdet: addOwned(addOwned(l1, l2), lc) };
  }

  protected invert([y1, y2]: Pair, context?: Tensor) {
    const { x: x1, logdet: l1 } = this.first.inverse(y1, context);
    const { x: coupled, logdet: lc } = this.coupling.inverse([x1, y2], context);
    coupled[0].dispose();
    const { x: x2, logdet: l2 } = this.second.inverse(coupled[1], context);
    coupled[1].dispose();
    return { x: [x1, x2] as const, logdet: addOwned(addOwned(l1, l2), lc) };
  }

  protected applyBackward([y1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions) {
    const first = this.first.backward(y1, dy1, options);
    const coupled = this.coupling.backward([first.x, y2], [first.dx, dy2], options);
    first.dx.dispose();
    coupled.x[0].dispose();
    const second = this.second.backward(coupled.x[1], coupled.dx[1], options);
    coupled.x[1].dispose();
    coupled.dx[1].dispose();
    return {
      x: [first.x, second.x] as const,
      dx: [coupled.dx[0], second.dx] as const,
      ...sumOfContexts(first, coupled, second),
    };
  }

  protected invertBackward([x1, x2]: Pair, [dx1, dx2]: Pair, options: BackwardOptions) {
    const second = this.second.backwardInverse(x2, dx2, options);
    const coupled = this.coupling.backwardInverse([x1, second.y], [dx1, second.dy], options);
    second.y.dispose();
    second.dy.dispose();
    coupled.y[0].dispose();
    const first = this.first.backwardInverse(x1, coupled.dy[0], options);
    coupled.dy[0].dispose();
    return {
      y: [first.y, coupled.y[1]] as const,
      dy: [first.dy, coupled.dy[1]] as const,
      ...sumOfContexts(first, coupled, second),
    };
  }

  protected applyTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const second = this.second.jvp(x2, { ...tangent, x: dx2 }, context);
    const along = dx1 ?? zerosLike(x1);
    const direction: Pair = [along, second.dy];
    const coupled = this.coupling.jvp([x1, second.y], { ...tangent, x: direction }, context);
    if (!dx1) along.dispose();
    for (const t of [second.y, second.dy, coupled.y[0], coupled.dy[0]]) t.dispose();
    const first = this.first.jvp(x1, { ...tangent, x: dx1 }, context);
    return {
      y: [first.y, coupled.y[1]] as const,
      dy: [first.dy, coupled.dy[1]] as const,
      ...sumOfLogdets(first, coupled, second),
    };
  }

  protected invertTangent([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dy1, dy2] = tangent.x ?? [];
    const first = this.first.jvpInverse(y1, { ...tangent, x: dy1 }, context);
    const along = dy2 ?? zerosLike(y2);
    const direction: Pair = [first.dx, along];
    const coupled = this.coupling.jvpInverse([first.x, y2], { ...tangent, x: direction }, context);
    if (!dy2) along.dispose();
    const second = this.second.jvpInverse(coupled.x[1], { ...tangent, x: coupled.dx[1] }, context);
    for (const t of [...coupled.x, ...coupled.dx]) t.dispose();
    return {
      x: [first.x, second.x] as const,
      dx: [first.dx, second.dx] as const,
      ...sumOfLogdets(first, coupled, second),
    };
  }

  protected override applyShape([x1, x2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    const [, y2] = this.coupling.outputShape([x1, this.second.outputShape(x2)]);
    return [this.first.outputShape(x1), y2];
  }

  protected override invertShape([y1, y2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    const [x1, inner] = this.coupling.inputShape([this.first.inputShape(y1), y2]);
    return [x1, this.second.inputShape(inner)];
  }
}
