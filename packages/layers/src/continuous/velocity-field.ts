/**
 * The contract of velocities that a continuous flow follows. Mathematics: docs/math/continuous/velocity-field.md
 *
 * Left out: who integrates them (`ContinuousFlow`, `MidpointFlow`) and who trains them (`flowMatching` of `@invnet/flows`).
 */
import {
  add,
  concat,
  formatValue,
  full,
  mul,
  requireTensor,
  ShapeError,
  sumPerSample,
  Tensor,
  tidy,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type Call, contextFor, requireShape } from '../core/arguments.ts';
import { Conditioner, evaluate } from '../core/conditioner.ts';
import { guarded } from '../core/guard.ts';
import { perSample } from '../core/idioms.ts';

/** A velocity, and what it does to volumes. */
export interface FlowRate {
  /** v, of the shape of x. */
  readonly velocity: Tensor;
  /** Σ ⟨p, J p⟩ over the probes p, with J = ∂v/∂x: the divergence, or an estimate of it. Shape [N]. */
  readonly divergence: Tensor;
}

/**
 * v(x, t, context): a conditioner from x [N, C, …] with the time t as one more channel (`withTime`) to a velocity of the
 * shape of x. t runs from 0, the base, to 1, the data.
 *
 * A field is a conditioner's three hooks. Those that know a shorter way at one time for all samples override `velocityAt`
 * and `rateAt` as well.
 */
export abstract class VelocityField<K = unknown> extends Conditioner<K> {
  /** Channels of x. */
  abstract readonly channels: number;

  /** v at a time of all samples, or one per sample, [N]. @throws ShapeError, ValueError */
  velocity(x: Tensor, t: number | Tensor, context?: Tensor): Tensor {
    return guarded(this, (outermost) => {
      const c = this.#checked('velocity', outermost, x, t, context);
      return this.velocityAt(x, t, c);
    });
  }

  /**
   * v and its divergence along probes of the shape of x: exactly by the unit vectors of a sample, in the mean by random
   * signs. @throws ShapeError, ValueError
   */
  rate(x: Tensor, t: number, probes: Iterable<Tensor>, context?: Tensor): FlowRate {
    return guarded(this, (outermost) => {
      const c = this.#checked('rate', outermost, x, t, context);
      return this.rateAt(x, t, checkedProbes([this, 'rate'], probes, x), c);
    });
  }

  protected velocityAt(x: Tensor, t: number | Tensor, context?: Tensor): Tensor {
    return evaluate(this, withTime(x, t), context);
  }

  protected rateAt(x: Tensor, t: number, probes: Iterable<Tensor>, context?: Tensor): FlowRate {
    const xt = withTime(x, t);
    const still = zeros([x.shape[0]!, 1, ...x.shape.slice(2)], x);
    let velocity: Tensor | undefined;
    let divergence = zeros([x.shape[0]!], x);
    for (const p of probes) {
      const { y, dy } = this.jvp(xt, { x: concat([p, still], 1) }, context);
      velocity ??= y;
      divergence = add(divergence, sumPerSample(mul(p, dy)));
    }
    return { velocity: velocity ?? evaluate(this, xt, context), divergence };
  }

  #checked(
    method: string,
    outermost: boolean,
    x: Tensor,
    t: number | Tensor,
    context: Tensor | undefined,
  ): Tensor | undefined {
    requireTimes(`${this.type}.${method}`, x, t);
    const [n, channels, ...size] = x.shape;
    this.outputShape([n!, channels! + 1, ...size]);
    if (context === undefined) return undefined;
    return contextFor([this, method], !outermost || this.usesContext, x, context);
  }
}

/**
 * x [N, C, …] and a time, of all samples or one per sample, [N], as one more channel: what a `VelocityField` takes.
 *
 * @throws ShapeError for another number of times. @throws ValueError unless a time is from 0 to 1.
 * @example
 * const { y: velocity, saved } = field.forward(withTime(x, 0.5));
 */
export function withTime(x: Tensor, t: number | Tensor): Tensor {
  requireTimes('withTime', x, t);
  return tidy(() => {
    const shape = [x.shape[0]!, 1, ...x.shape.slice(2)];
    const time = t instanceof Tensor ? add(zeros(shape, x), perSample(t, x)) : full(shape, t, x);
    return concat([x, time], 1);
  });
}

/** The probes, each of which is checked where its turn comes. */
function* checkedProbes(at: Call, probes: Iterable<Tensor>, x: Tensor): Generator<Tensor> {
  if (typeof probes?.[Symbol.iterator] !== 'function') {
    throw new ValueError(
      `VelocityField.rate: probes are ${formatValue(probes)}; expected a list of tensors of the shape of x.`,
    );
  }
  for (const p of probes) {
    requireShape(at, 'a probe', p, x.shape);
    yield p;
  }
}

function requireTimes(op: string, x: Tensor, t: number | Tensor): void {
  if (requireTensor(op, x, 'x').rank < 2) {
    throw new ShapeError(`${op}: x is of rank ${x.rank}; expected [N, C, …].`);
  }
  if (t instanceof Tensor) requireShape([op], 't', t, [x.shape[0]!]);
  else if (!(typeof t === 'number' && t >= 0 && t <= 1)) {
    throw new ValueError(`${op}: t is ${formatValue(t)}; expected a time from 0 to 1.`);
  }
}
