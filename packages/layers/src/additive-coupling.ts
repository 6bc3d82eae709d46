/**
 * The additive coupling of two tensors (Dinh et al., "NICE: non-linear independent components
 * estimation", 2014). Mathematics: docs/math/additive-coupling.md
 */
import {
  add,
  clone,
  formatShape,
  neg,
  ShapeError,
  sub,
  type Tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';
import type { BackwardOptions, Bijection, Tangent } from './bijection.ts';
import { requireTangent, sumOfTerms, zeroLogdet } from './checks.ts';
import type { Conditioner } from './conditioner.ts';
import { type Parameter, prefixNames } from './parameter.ts';
import type { Pair } from './state.ts';

/**
 * (x₁, x₂) ↦ (x₁, x₂ + g(x₁, context)); logdet = 0. The conditioner g gives as many channels as x₂
 * has; `backward` evaluates it once.
 *
 * @example
 * const conditioner = new ResidualBlock({ inChannels: 2, hidden: 32, outChannels: 3 });
 * const { y: [y1, y2] } = new AdditiveCoupling(conditioner).forward([x1, x2]);
 */
export class AdditiveCoupling implements Bijection<Pair> {
  readonly conditioner: Conditioner;
  readonly parameters: readonly Parameter[];

  constructor(conditioner: Conditioner) {
    this.conditioner = conditioner;
    this.parameters = conditioner.parameters;
    prefixNames('conditioner', this.parameters);
  }

  forward([x1, x2]: Pair, context?: Tensor): { y: Pair; logdet: Tensor } {
    return tidy(() => {
      const { y: shift, saved } = this.conditioner.forward(x1, context);
      saved.dispose();
      return { y: [clone(x1), add(x2, fitting(shift, x2))], logdet: zeroLogdet(x1) };
    });
  }

  inverse([y1, y2]: Pair, context?: Tensor): { x: Pair; logdet: Tensor } {
    return tidy(() => {
      const { y: shift, saved } = this.conditioner.forward(y1, context);
      saved.dispose();
      return { x: [clone(y1), sub(y2, fitting(shift, y2))], logdet: zeroLogdet(y1) };
    });
  }

  backward([x1, y2]: Pair, [dy1, dy2]: Pair, options: BackwardOptions = {}) {
    return tidy(() => {
      const { y: shift, saved } = this.conditioner.forward(x1, options.context);
      const x2 = sub(y2, fitting(shift, y2));
      shift.dispose();
      const { dx, ...rest } = this.conditioner.backward(dy2, saved);
      saved.dispose();
      return { x: [clone(x1), x2] as const, dx: [add(dy1, dx), clone(dy2)] as const, ...rest };
    });
  }

  backwardInverse([y1, x2]: Pair, [dx1, dx2]: Pair, options: BackwardOptions = {}) {
    return tidy(() => {
      const { y: shift, saved } = this.conditioner.forward(y1, options.context);
      const y2 = add(x2, fitting(shift, x2));
      shift.dispose();
      const { dx, ...rest } = this.conditioner.backward(neg(dx2), saved);
      saved.dispose();
      return { y: [clone(y1), y2] as const, dy: [add(dx1, dx), clone(dx2)] as const, ...rest };
    });
  }

  jvp([x1, x2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    requireTangent('AdditiveCoupling', [x1, x2], tangent, this.parameters, context);
    const [dx1, dx2] = tangent.x ?? [];
    return tidy(() => {
      const { y: shift, dy } = this.conditioner.jvp(x1, { ...tangent, x: dx1 }, context);
      return {
        y: [clone(x1), add(x2, fitting(shift, x2))] as const,
        dy: [dx1 ? clone(dx1) : zerosLike(x1), sumOfTerms(x2, dy, dx2)] as const,
        logdet: zeroLogdet(x1),
        dlogdet: zeroLogdet(x1),
      };
    });
  }

  jvpInverse([y1, y2]: Pair, tangent: Tangent<Pair>, context?: Tensor) {
    requireTangent('AdditiveCoupling', [y1, y2], tangent, this.parameters, context);
    const [dy1, dy2] = tangent.x ?? [];
    return tidy(() => {
      const { y: shift, dy } = this.conditioner.jvp(y1, { ...tangent, x: dy1 }, context);
      return {
        x: [clone(y1), sub(y2, fitting(shift, y2))] as const,
        dx: [dy1 ? clone(dy1) : zerosLike(y1), sumOfTerms(y2, neg(dy), dy2)] as const,
        logdet: zeroLogdet(y1),
        dlogdet: zeroLogdet(y1),
      };
    });
  }
}

/** The shift itself. @throws ShapeError unless it has the shape of what it moves. */
function fitting(shift: Tensor, moved: Tensor): Tensor {
  if (shift.rank === moved.rank && shift.shape.every((s, i) => s === moved.shape[i])) return shift;
  throw new ShapeError(
    `AdditiveCoupling: the conditioner returned ${formatShape(shift.shape)}; expected ` +
      `${formatShape(moved.shape)}, the shape of the second half.`,
  );
}
