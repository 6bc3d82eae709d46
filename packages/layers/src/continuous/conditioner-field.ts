/** Velocities by any conditioner. Mathematics: docs/math/continuous/velocity-field.md */
import { concat, mul, RandomStream, type Shape, split, type Tensor } from '@invnet/tensor';
import {
  type ConditionerFactory,
  makeConditioner,
  withContext,
} from '../conditioners/conditioner-factory.ts';
import { convBlock } from '../conditioners/conv-block.ts';
import {
  requireChannels,
  requireDimensions,
  requireModuleOptions,
  requireSizes,
  requireWhole,
} from '../core/checks.ts';
import type { Conditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';
import { silu } from '../elementwise/smooth-activations.ts';
import { type TimeFeatures, timeFeatures, timeGradient } from './time-features.ts';
import { VelocityField } from './velocity-field.ts';

/** Options of `ConditionerField`. */
export interface ConditionerFieldOptions {
  /** Channels of x, and of the velocity. */
  readonly channels: number;
  /** How many sines and cosines of the time the conditioner sees, beside x. Default: 4 of each. */
  readonly frequencies?: number;
  /** Channels of the context, which the default conditioner sees as well. Default: 0. */
  readonly contextChannels?: number;
  /** Width of the default conditioner. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes, 0 to 3. Default: 0, vectors. */
  readonly ndims?: number;
  /**
   * Maps the channels of x and the `2·frequencies` of the time to as many as x has, or a function that makes it. Default:
   * a `convBlock` with SiLU: a kink, as of ReLU, makes the divergence jump.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

interface SavedField {
  readonly inner: Saved;
  readonly slope: Tensor;
}

/**
 * v(x, t, context) = g([x, sin πkt, cos πkt], context) for a conditioner g: a U-Net, a chain of dense layers, or any other.
 * It is differentiated once, which flow matching, samples and densities ask for; `SmoothField` twice.
 *
 * @example
 * const field = new ConditionerField({ channels: 2, hidden: 128 });
 * const ofImages = new ConditionerField({
 *   channels: 3,
 *   ndims: 2,
 *   conditioner: (sizes) => new UNet({ ...sizes, hidden: 32 }),
 * });
 */
export class ConditionerField extends VelocityField<SavedField> {
  static readonly type: string = 'ConditionerField';
  readonly channels: number;
  readonly frequencies: number;
  readonly conditioner: Conditioner;

  /** @throws ValueError for sizes that are not whole and positive, and what is no conditioner. */
  constructor(options: ConditionerFieldOptions) {
    super();
    const names = ['channels', 'frequencies', 'contextChannels', 'hidden', 'ndims', 'conditioner'];
    requireModuleOptions('ConditionerField', options, names);
    const { channels, frequencies = 4, contextChannels = 0, ndims = 0, conditioner } = options;
    requireSizes('ConditionerField', { channels, frequencies });
    requireWhole('ConditionerField', 'contextChannels', contextChannels, 0);
    requireDimensions('ConditionerField', ndims, 0);
    this.channels = channels;
    this.frequencies = frequencies;
    const inChannels = channels + 2 * frequencies;
    const shape = { inChannels, outChannels: channels, ndims, contextChannels };
    const { hidden = 64, random = new RandomStream(0) } = options;
    requireSizes('ConditionerField', { hidden });
    this.conditioner = makeConditioner(
      'ConditionerField',
      conditioner ?? smooth(hidden, random),
      shape,
      {},
    );
  }

  get options() {
    const { channels, frequencies, conditioner } = this;
    return { channels, frequencies, conditioner };
  }

  protected apply(xt: Tensor, context?: Tensor) {
    const { joined, features } = this.#joined(xt);
    const { y, saved: inner } = this.conditioner.forward(joined, context);
    return { y, saved: { inner, slope: features.slope } };
  }

  protected applyBackward(dy: Tensor, { inner, slope }: SavedField) {
    const { dx, dcontext } = this.conditioner.backward(dy, inner);
    const [towardsX, dfeatures] = this.#parts(dx);
    return {
      dx: concat([towardsX, timeGradient({ slope }, dfeatures)], 1),
      ...(dcontext && { dcontext }),
    };
  }

  protected applyTangent(xt: Tensor, tangent: Tangent, context?: Tensor) {
    const { joined, features } = this.#joined(xt);
    const moved = tangent.x && split(tangent.x, 1, [this.channels, 1]);
    const x = moved && concat([moved[0]!, mul(features.slope, moved[1]!)], 1);
    return this.conditioner.jvp(joined, { ...tangent, x }, context);
  }

  protected applyShape(xt: Shape): Shape {
    const { channels, frequencies } = this;
    const [n, , ...size] = requireChannels('ConditionerField', xt, channels + 1);
    this.conditioner.outputShape([n!, channels + 2 * frequencies, ...size]);
    return [n!, channels, ...size];
  }

  #joined(xt: Tensor): { joined: Tensor; features: TimeFeatures } {
    const [x, t] = split(xt, 1, [this.channels, 1]);
    const features = timeFeatures(t!, this.frequencies);
    return { joined: concat([x!, features.values], 1), features };
  }

  #parts(d: Tensor): readonly [Tensor, Tensor] {
    const [x, features] = split(d, 1, [this.channels, 2 * this.frequencies]);
    return [x!, features!];
  }
}

/** Blocks without kinks, which see the context beside what they are of. */
function smooth(hidden: number, random: RandomStream): ConditionerFactory {
  return withContext((sizes) => convBlock({ ...sizes, hidden, activation: silu(), random }));
}
