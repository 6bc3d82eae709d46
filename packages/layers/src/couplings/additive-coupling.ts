/**
 * The additive coupling of two tensors (Dinh et al., "NICE: non-linear independent components
 * estimation", 2014). Mathematics: docs/math/couplings/additive-coupling.md
 */
import {
  add,
  formatShape,
  neg,
  type Shape,
  ShapeError,
  sub,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { type BackwardOptions, PairBijection } from '../core/bijection.ts';
import { type Conditioner, evaluate, requireConditioner } from '../core/conditioner.ts';
import { sumOfTerms } from '../core/idioms.ts';
import { type Pair, sameShape } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/**
 * (x₁, x₂) ↦ (x₁, x₂ + g(x₁, context)); logdet = 0. The conditioner g gives as many channels as x₂
 * has; `backward` evaluates it once.
 *
 * @example
 * const conditioner = new ResidualBlock({ inChannels: 2, hidden: 32, outChannels: 3 });
 * const { y: [y1, y2] } = new AdditiveCoupling(conditioner).forward([x1, x2]);
 */
export class AdditiveCoupling extends PairBijection {
  static readonly type: string = 'AdditiveCoupling';
  readonly conditioner: Conditioner;

  constructor(conditioner: Conditioner) {
    super();
    this.conditioner = requireConditioner('AdditiveCoupling', 'conditioner', conditioner);
  }

  static build({ conditioner }: { readonly conditioner: Conditioner }): AdditiveCoupling {
    return new AdditiveCoupling(conditioner);
  }

  get options() {
    return { conditioner: this.conditioner };
  }

  protected apply([x1, x2]: Pair, context?: Tensor) {
    const shift = evaluate(this.conditioner, x1, context);
    return { y: [x1, add(x2, fitting(shift, x2))] as const };
  }

  protected invert([y1, y2]: Pair, context?: Tensor) {
    const shift = evaluate(this.conditioner, y1, context);
    return { x: [y1, sub(y2, fitting(shift, y2))] as const };
  }

  protected applyBackward([x1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions, kept?: Pair) {
    const { y: shift, saved } = this.conditioner.forward(x1, options.context);
    const x2 = kept?.[1] ?? sub(y2, fitting(shift, y2));
    shift.dispose();
    const { dx, ...rest } = this.conditioner.backward(dy2, saved);
    saved.dispose();
    return { x: [x1, x2] as const, dx: [add(dy1, dx), dy2] as const, ...rest };
  }

  protected invertBackward(
    [y1, x2]: Pair,
    [dx1, dx2]: Pair,
    options: BackwardOptions,
    kept?: Pair,
  ) {
    const { y: shift, saved } = this.conditioner.forward(y1, options.context);
    const y2 = kept?.[1] ?? add(x2, fitting(shift, x2));
    shift.dispose();
    const { dx, ...rest } = this.conditioner.backward(neg(dx2), saved);
    saved.dispose();
    return { y: [y1, y2] as const, dy: [add(dx1, dx), dx2] as const, ...rest };
  }

  protected applyTangent([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dx1, dx2] = tangent.x ?? [];
    const { y: shift, dy } = this.conditioner.jvp(x1, { ...tangent, x: dx1 }, context);
    return {
      y: [x1, add(x2, fitting(shift, x2))] as const,
      dy: [dx1 ?? zerosLike(x1), sumOfTerms(x2, dy, dx2)] as const,
    };
  }

  protected invertTangent([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    const [dy1, dy2] = tangent.x ?? [];
    const { y: shift, dy } = this.conditioner.jvp(y1, { ...tangent, x: dy1 }, context);
    return {
      x: [y1, sub(y2, fitting(shift, y2))] as const,
      dx: [dy1 ?? zerosLike(y1), sumOfTerms(y2, neg(dy), dy2)] as const,
    };
  }

  protected override applyShape([x1, x2]: readonly [Shape, Shape]): readonly [Shape, Shape] {
    const shift = this.conditioner.outputShape(x1);
    if (shift) requireFitting(shift, x2);
    return [x1, x2];
  }
}

/** The shift itself. @throws ShapeError unless it has the shape of what it moves. */
function fitting(shift: Tensor, moved: Tensor): Tensor {
  requireFitting(shift.shape, moved.shape);
  return shift;
}

function requireFitting(shift: Shape, moved: Shape): void {
  if (sameShape(shift, moved)) return;
  throw new ShapeError(
    `AdditiveCoupling: the conditioner returned ${formatShape(shift)}; expected ` +
      `${formatShape(moved)}, the shape of the second half.`,
  );
}
