/** A normal base whose means and deviations a context gives. Mathematics: docs/math/flows/bases.md */
import {
  Conditioner,
  type ConditionerDefaults,
  type ConditionerFactory,
  Construction,
  evaluate,
  makeConditioner,
  requireModuleOptions,
  requireSizes,
  requireWhole,
} from '@invnet/layers';
import {
  concat,
  formatShape,
  type RandomStream,
  type Shape,
  ShapeError,
  split,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { BaseDistribution, type Draw } from './base-distribution.ts';
import { Entries } from './entries.ts';
import {
  type MomentGradients,
  type Moments,
  momentsBackward,
  momentsDensity,
  momentsDraw,
  momentsDrawBackward,
} from './moments.ts';

/** Options of `ConditionalNormal`. */
export interface ConditionalNormalOptions extends ConditionerDefaults {
  /** Channels of z. */
  readonly channels: number;
  /** Channels of the context, where the default conditioner is to be made. */
  readonly contextChannels?: number;
  /**
   * Maps the context to a mean and the logarithm of a deviation for each channel, [N, 2C], or at z's resolution,
   * [N, 2C, …]; or a function that makes it. Default: see `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

const optionNames = ['channels', 'contextChannels', 'conditioner', 'hidden', 'ndims'];

/**
 * p(z | context): independent normal numbers with (μ, log σ) = g(context). What g gives as vectors holds at all positions
 * of z; what it gives as images, position by position.
 *
 * @example
 * const base = new ConditionalNormal({ channels: 2, contextChannels: 3, hidden: 32, ndims: 0 });
 * const flow = new Flow({ network, base }); // flow.logProb(x, context), context [N, 3]
 */
export class ConditionalNormal extends BaseDistribution {
  static readonly type: string = 'ConditionalNormal';
  readonly conditioner: Conditioner;
  readonly #entries: Entries;

  /** @throws ValueError for channels below 1, or neither a conditioner nor the channels of a context. */
  constructor(options: ConditionalNormalOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ConditionalNormal', options, optionNames);
    const { channels, contextChannels, conditioner, ndims = 2, ...defaults } = options;
    requireWhole('ConditionalNormal', 'channels', channels, 1);
    this.#entries = new Entries('ConditionalNormal', { channels });
    if (!(conditioner instanceof Conditioner)) {
      if (contextChannels === undefined) {
        throw new ValueError(
          'ConditionalNormal: expected a conditioner, or contextChannels to make one; got neither.',
        );
      }
      requireSizes('ConditionalNormal', { contextChannels });
    }
    // The context is what the conditioner sees as its x.
    const inChannels = contextChannels ?? 0;
    const shape = { inChannels, outChannels: 2 * channels, ndims, contextChannels: 0 };
    this.conditioner = makeConditioner('ConditionalNormal', conditioner, shape, defaults);
    building.complete();
  }

  get options() {
    return { ...this.#entries.options, conditioner: this.conditioner };
  }

  override get usesContext(): boolean {
    return true;
  }

  protected density(z: Tensor, context: Tensor): Tensor {
    return momentsDensity(z, this.#moments(evaluate(this.conditioner, context), z.shape));
  }

  protected densityBackward(z: Tensor, dlogProb: Tensor, context: Tensor) {
    const { y, saved } = this.conditioner.forward(context);
    const { logProb, dz, ...d } = momentsBackward(z, this.#moments(y, z.shape), dlogProb);
    const { dx: dcontext } = this.conditioner.backward(this.#gather(d, y), saved);
    saved.dispose();
    return { logProb, dz, dcontext };
  }

  protected draw(shape: Shape, draw: Draw): Tensor {
    return momentsDraw(
      shape,
      this.#moments(evaluate(this.conditioner, draw.context!), shape),
      draw,
    );
  }

  protected override drawBackward(z: Tensor, dz: Tensor, context: Tensor) {
    const { y, saved } = this.conditioner.forward(context);
    const d = momentsDrawBackward(z, this.#moments(y, z.shape).mean, dz);
    const { dx: dcontext } = this.conditioner.backward(this.#gather(d, y), saved);
    saved.dispose();
    return { dcontext };
  }

  protected override requireShape(z: Shape): void {
    this.#entries.requireShape(z);
  }

  /** What the conditioner gave, as the moments of z. */
  #moments(y: Tensor, z: Shape): Moments {
    const { channels } = this.#entries.options;
    const expected = [z[0]!, 2 * channels];
    const found = formatShape(y.shape);
    if (found !== formatShape(expected) && found !== formatShape([...expected, ...z.slice(2)])) {
      throw new ShapeError(
        `ConditionalNormal: the conditioner gave ${found} for z ${formatShape(z)}; expected ${formatShape(expected)}, ` +
          "a mean and the logarithm of a deviation for each channel, or that at z's resolution.",
      );
    }
    const [mean, logDeviation] = split(y, 1, [channels, channels]);
    const over = (v: Tensor) => (y.rank === z.length ? v : this.#entries.over(v, z));
    return { mean: over(mean!), logDeviation: over(logDeviation!) };
  }

  /** The gradient of what the conditioner gave. */
  #gather({ dmean, dlogDeviation }: MomentGradients, y: Tensor): Tensor {
    const of = (full: Tensor) =>
      y.rank === full.rank ? full : this.#entries.gatherPerSample(full);
    return concat([of(dmean), of(dlogDeviation)], 1);
  }
}
