/** Shifts around a circle. Mathematics: docs/math/elementwise/circular-shift.md */
import {
  add,
  affine,
  full,
  matmul,
  mul,
  requireBetween,
  requireBoolean,
  requireFinite,
  type Shape,
  sub,
  type Tensor,
  tensor,
} from '@invnet/tensor';
import { Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireIndices,
  requireModuleOptions,
  requireWhole,
} from '../core/checks.ts';
import { alongChannels, channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Parameter } from '../tree/parameter.ts';
import { nearest } from './circle.ts';

/** Options of `CircularShift`. */
export interface CircularShiftOptions {
  readonly channels: number;
  /** Which channels are angles, counted from 0. Default: all. */
  readonly circular?: readonly number[];
  /** Half of what is once around: angles are from −bound to bound. Default: π. */
  readonly bound?: number;
  /** The shift at first. Default: 0. */
  readonly shift?: number;
  /** A shift that is not trained. Default: false. */
  readonly frozen?: boolean;
}

/**
 * y = x + b, less whole turns, for those channels that are angles, with a trained shift b for each; others
 * stay. logdet = 0. Angles come from anywhere and leave from −bound to bound, of `inverse` as well: they are
 * the same ones again if they were in there. A frozen shift of 0 only wraps.
 *
 * Turns are whole numbers of x over 2·bound, which have digits up to 2²² of them in float32.
 *
 * @example
 * const turn = new CircularShift({ channels: 3, circular: [0, 2] });
 * const { y } = turn.forward(x); // x [N, 3, ...]
 */
export class CircularShift extends Bijection {
  static readonly type: string = 'CircularShift';
  readonly options: Readonly<Required<CircularShiftOptions> & Record<string, unknown>>;
  readonly shift: Parameter;

  /** @throws ValueError for channels that there are not, or named twice, and unless bound is above 0. */
  constructor(options: CircularShiftOptions) {
    super();
    const names = ['channels', 'circular', 'bound', 'shift', 'frozen'];
    requireModuleOptions('CircularShift', options, names);
    const { channels, bound = Math.PI, shift = 0, frozen = false } = options;
    requireWhole('CircularShift', 'channels', channels, 1);
    const { circular = Array.from({ length: channels }, (_, c) => c) } = options;
    requireIndices('CircularShift', 'circular', circular, channels);
    requireBetween('CircularShift', 'bound', bound, 0);
    requireFinite('CircularShift', 'shift', shift);
    requireBoolean('CircularShift', 'frozen', frozen);
    this.options = { channels, circular: [...circular], bound, shift, frozen };
    this.shift = new Parameter('shift', full([circular.length], shift), { frozen });
  }

  protected apply(x: Tensor) {
    return { y: this.#wrapped(add(x, this.#over(this.shift.data, x))) };
  }

  protected invert(y: Tensor) {
    return { x: this.#wrapped(sub(y, this.#over(this.shift.data, y))) };
  }

  protected applyBackward(y: Tensor, dy: Tensor) {
    this.#accumulate(dy, 1);
    return { ...this.invert(y), dx: dy };
  }

  protected invertBackward(x: Tensor, dx: Tensor) {
    this.#accumulate(dx, -1);
    return { ...this.apply(x), dy: dx };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return { ...this.apply(x), dy: this.#along(x, tangent, 1) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    return { ...this.invert(y), dx: this.#along(y, tangent, -1) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('CircularShift', x, this.options.channels);
  }

  #along(x: Tensor, { x: dx, parameters }: Tangent, sign: 1 | -1): Tensor {
    const ds = parameters?.get(this.shift);
    const moved = ds && mul(this.#over(affine(ds, sign), x), full(x.shape, 1, x));
    return sumOfTerms(x, dx, moved);
  }

  #accumulate(gradient: Tensor, sign: 1 | -1): void {
    const sums = channelSums(gradient).reshape([-1, 1]);
    this.shift.accumulateGrad(matmul(this.#selection(gradient), sums).reshape([-1]), sign);
  }

  /** Channels that are angles, less whole turns. */
  #wrapped(x: Tensor): Tensor {
    const turn = 2 * this.options.bound;
    const once = this.#over(full(this.shift.shape, turn, x), x);
    return sub(x, mul(nearest(affine(x, 1 / turn)), once));
  }

  /** A number for each angle as one for each channel, zero for others, to broadcast over x. */
  #over(v: Tensor, x: Tensor): Tensor {
    return alongChannels(matmul(v.reshape([1, -1]), this.#selection(x)), x);
  }

  /** 1 in row i and the column of its channel. */
  #selection(like: Tensor): Tensor {
    const { channels, circular } = this.options;
    const values = circular.flatMap((c) =>
      Array.from({ length: channels }, (_, j) => Number(j === c)),
    );
    return tensor(values, [circular.length, channels], like);
  }
}
