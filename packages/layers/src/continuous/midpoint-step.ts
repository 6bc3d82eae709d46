/**
 * A step of the implicit midpoint rule, and all its derivatives. Mathematics: docs/math/continuous/midpoint-flow.md
 *
 * Left out: the steps of a flow together, which are `MidpointFlow`.
 */
import { add, affine, sub, type Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { logdetIsRead } from '../core/without-logdet.ts';
import { epsilonOf, fixedPoint } from '../residual/fixed-point.ts';
import type { BlockAt } from '../residual/lipschitz-block.ts';
import { type FoundLogDeterminant, weightedPairings } from '../residual/log-determinant.ts';
import type { SmoothField } from './smooth-field.ts';

/** What a step is made of. */
export interface MidpointStepOptions {
  readonly field: SmoothField;
  /** Where it takes the velocity, the middle of its interval. */
  readonly time: number;
  /** Half of its length; negative where time runs back. */
  readonly half: number;
  readonly maxIterations: number;
  /** log det of the step by half a length. */
  readonly logdet: (block: BlockAt, half: number) => FoundLogDeterminant;
}

/** What the rate of the iteration is taken for where it cannot be looked at. */
const assumedRate = 0.5;

/** How many units in the last place rounding within a field may keep the iteration moving by: its layers sum many numbers. */
const mostRounding = 2 ** 10;

/**
 * y = 2m − x, where m = x + a v(m) with a = half. The inverse is the same step with −a; what is written here for the
 * one serves the other.
 */
export class MidpointStep extends Bijection {
  static readonly type: string = 'MidpointStep';
  readonly field: SmoothField;
  readonly #step: MidpointStepOptions;

  constructor(step: MidpointStepOptions) {
    super();
    this.field = step.field;
    this.#step = step;
  }

  get options() {
    const { field, time, half } = this.#step;
    return { field, time, half };
  }

  /** The inverse takes a search. */
  override get keepsInput(): boolean {
    return true;
  }

  protected apply(x: Tensor, context?: Tensor) {
    return this.#moved(x, this.#step.half, context);
  }

  protected invert(y: Tensor, context?: Tensor) {
    const { y: x, logdet } = this.#moved(y, -this.#step.half, context);
    return { x, logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions, kept?: Tensor) {
    return this.#back(y, dy, this.#step.half, options, kept);
  }

  protected invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions, kept?: Tensor) {
    const { x: y, dx: dy, ...rest } = this.#back(x, dx, -this.#step.half, options, kept);
    return { y, dy, ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    return this.#along(x, tangent, this.#step.half, context);
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const { y: x, dy: dx, ...rest } = this.#along(y, tangent, -this.#step.half, context);
    return { x, dx, ...rest };
  }

  #moved(x: Tensor, a: number, context: Tensor | undefined) {
    const { block } = this.field.at(this.#step.time, context);
    const m = this.#solve((z) => add(x, affine(block.apply(z), a)), x);
    const logdet = logdetIsRead() ? this.#step.logdet(block.at(m), a).logdet : undefined;
    return { y: reflected(x, m), logdet };
  }

  /** Of the step x → y by half a length a. */
  #back(
    y: Tensor,
    dy: Tensor,
    a: number,
    { dlogdet, context }: BackwardOptions,
    kept: Tensor | undefined,
  ) {
    const { block, contextGradient } = this.field.at(this.#step.time, context, { gradient: true });
    const m = kept
      ? affine(add(kept, y), 0.5)
      : this.#solve((z) => sub(y, affine(block.apply(z), a)), y);
    const at = block.at(m);
    const towardsY = affine(dy, 2);
    const found = dlogdet && this.#step.logdet(at, a);
    const towardsM = found
      ? add(towardsY, at.gradient(undefined, weightedPairings(found, dlogdet)))
      : towardsY;
    const w = this.#solve((d) => add(towardsM, affine(at.pull(d), a)), towardsM);
    at.gradient(affine(w, a));
    const dcontext = contextGradient();
    return { x: kept ?? reflected(y, m), dx: sub(w, dy), ...(dcontext && { dcontext }) };
  }

  #along(x: Tensor, { x: dx, parameters, context: dc }: Tangent, a: number, context?: Tensor) {
    const { block } = this.field.at(this.#step.time, context);
    const at = block.at(this.#solve((z) => add(x, affine(block.apply(z), a)), x));
    const side = { parameters, context: this.field.sideDirection(dc) };
    const moved = at.tangent(side);
    const start = sumOfTerms(x, dx, moved && affine(moved, a));
    const dm = this.#solve((d) => add(start, affine(at.push(d), a)), start);
    const found = this.#step.logdet(at, a);
    return {
      y: reflected(x, at.x),
      dy: dx ? reflected(dx, dm) : affine(dm, 2),
      logdet: found.logdet,
      dlogdet: at.bendAlong({ ...side, x: dm }, found.pairings()),
    };
  }

  #solve(step: (z: Tensor) => Tensor, start: Tensor): Tensor {
    return fixedPoint('MidpointFlow', step, start, {
      maxIterations: this.#step.maxIterations,
      lipschitz: assumedRate,
      rounding: mostRounding * epsilonOf(start.dtype),
      advice: 'More steps make each shorter, and the constant smaller.',
    });
  }
}

/** 2m − x */
function reflected(x: Tensor, m: Tensor): Tensor {
  return sub(affine(m, 2), x);
}
