/**
 * Data moved to mean 0 and deviation 1 by numbers that are known beforehand. Mathematics: docs/math/linear/standardization.md
 *
 * Left out: taking these numbers of data, which `fit` of `@invnet/train` does in one pass over all rows. `ActNorm` takes
 * them of one batch, and trains them.
 */
import {
  add,
  affine,
  div,
  log,
  mul,
  neg,
  ones,
  requireFinite,
  requireList,
  requireOptions,
  type Shape,
  ShapeError,
  sub,
  sum,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { alongChannels, positions } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { TensorBuffer } from '../tree/buffer.ts';
import { Construction } from '../tree/construction.ts';

/** A number for each channel. */
export interface Moments {
  readonly mean: readonly number[];
  /** Above 0. */
  readonly deviation: readonly number[];
}

/**
 * y = (x − μ)/σ per channel; logdet = −P·Σ log σ over P positions. μ and σ are buffers: saved with the model, and not
 * trained. It starts as the identity.
 *
 * In front of a network it lets a flow see standardized data, while densities and samples are those of the data as they
 * are.
 *
 * @example
 * const standardization = new Standardization({ channels: 2 });
 * standardization.set({ mean: [10, -3], deviation: [2, 0.1] });
 * const flow = new Flow({ network: new Sequential([standardization, network]) });
 */
export class Standardization extends Bijection {
  static readonly type: string = 'Standardization';
  readonly channels: number;
  readonly mean: TensorBuffer;
  readonly deviation: TensorBuffer;

  /** @throws ValueError unless channels ≥ 1. */
  constructor(options: { channels: number }) {
    super();
    using building = new Construction();
    requireModuleOptions('Standardization', options, ['channels']);
    const { channels } = options;
    requireWhole('Standardization', 'channels', channels, 1);
    this.channels = channels;
    this.mean = new TensorBuffer('mean', zeros([channels]));
    this.deviation = new TensorBuffer('deviation', ones([channels]));
    building.complete();
  }

  get options() {
    return { channels: this.channels };
  }

  /**
   * Sets μ and σ.
   *
   * @throws ShapeError unless there is one of each for every channel. @throws ValueError for numbers that are not finite,
   * or a deviation that is not above 0.
   */
  set(moments: Moments): void {
    requireOptions('Standardization.set', moments, ['mean', 'deviation']);
    for (const name of ['mean', 'deviation'] as const) {
      requireList('Standardization.set', name, moments[name], 'a list of numbers');
      if (moments[name].length === this.channels) continue;
      throw new ShapeError(
        `Standardization.set: ${name} has ${moments[name].length} numbers; expected one for each of ` +
          `${this.channels} channels.`,
      );
    }
    const { mean, deviation } = moments;
    for (const [c, value] of mean.entries()) {
      requireFinite('Standardization.set', `mean[${c}]`, value);
    }
    for (const [c, value] of deviation.entries()) {
      if (value > 0 && value < Number.POSITIVE_INFINITY) continue;
      throw new ValueError(
        `Standardization.set: deviation[${c}] is ${value}; expected a finite number above 0. A channel that is ` +
          'constant has none: leave it out of the data.',
      );
    }
    this.mean.write(Float64Array.from(mean));
    this.deviation.write(Float64Array.from(deviation));
  }

  protected apply(x: Tensor) {
    return { y: this.#narrow(this.#centered(x)), logdet: neg(this.#logDeviations(x)) };
  }

  protected invert(y: Tensor) {
    return { x: this.#spread(y), logdet: this.#logDeviations(y) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, _options: BackwardOptions, kept?: Tensor) {
    return { x: kept ?? this.#spread(y), dx: this.#narrow(dy) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, _options: BackwardOptions, kept?: Tensor) {
    return { y: kept ?? this.#narrow(this.#centered(x)), dy: this.#widen(dx) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return { ...this.apply(x), dy: tangent.x && this.#narrow(tangent.x) };
  }

  protected invertTangent(y: Tensor, tangent: Tangent) {
    return { ...this.invert(y), dx: tangent.x && this.#widen(tangent.x) };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('Standardization', x, this.channels);
  }

  #centered(x: Tensor): Tensor {
    return sub(x, alongChannels(this.mean.data, x));
  }

  #spread(y: Tensor): Tensor {
    return add(this.#widen(y), alongChannels(this.mean.data, y));
  }

  #narrow(v: Tensor): Tensor {
    return div(v, alongChannels(this.deviation.data, v));
  }

  #widen(v: Tensor): Tensor {
    return mul(v, alongChannels(this.deviation.data, v));
  }

  /** P·Σ log σ for each sample. */
  #logDeviations(x: Tensor): Tensor {
    const logs = affine(sum(log(this.deviation.data)), positions(x));
    return add(zeros([x.shape[0]!], x), logs);
  }
}
