/**
 * The learned prior of multi-scale networks (Kingma and Dhariwal, "Glow: generative flow with invertible 1×1
 * convolutions", 2018). Mathematics: docs/math/networks/glow.md
 */
import {
  AffineTransformer,
  type Bijection,
  ConditionalTransform,
  Construction,
  Conv,
  Dense,
  ElementwiseTransform,
  exp,
  requireDimensions,
  requireModuleOptions,
  requireSpatialSizes,
  requireWhole,
  reverse,
  Sequential,
  TransformerCoupling,
} from '@invnet/layers';
import {
  formatShape,
  requireBoolean,
  requireList,
  requireOptions,
  type Shape,
  ValueError,
} from '@invnet/tensor';
import { type LatentPlace, LatentPrior } from './latent-prior.ts';

/** Options of `LearnedPrior`. */
export interface LearnedPriorOptions {
  /**
   * Gives the last scale's means and deviations for each of so many classes; the network's context is then [N, classes],
   * as `oneHot` of `@invnet/flows` makes it of labels. Default: no classes.
   */
  readonly classes?: number | undefined;
  /**
   * Spatial sizes of the last scale's latents, [7, 7] of images of 28² at the second scale: each position then has a
   * mean and a deviation of its own for each channel. Default: positions share them.
   */
  readonly size?: Shape | undefined;
}

/** Classes at most. */
const MOST_CLASSES = 2 ** 20;

/**
 * The channels that leave at a scale have means and deviations by a 3×3 convolution of those that go on; the last scale's
 * channels have one each, or one for each class, for each position, or for both, of which either one then moves what the
 * other one leaves. All start as standard normal.
 *
 * @example
 * const net = new Glow({ channels: 3, scales: 3, prior: new LearnedPrior() });
 * const ofPlaces = new Glow({ channels: 1, scales: 2, prior: new LearnedPrior({ size: [7, 7] }) }); // of x [N, 1, 28, 28]
 * const ofClass = new Glow({ channels: 3, prior: new LearnedPrior({ classes: 10 }) });
 * const { y, logdet } = ofClass.forward(x, oneHot(labels, 10));
 */
export class LearnedPrior extends LatentPrior {
  static readonly type: string = 'LearnedPrior';
  readonly options: Readonly<LearnedPriorOptions>;

  /** @throws ValueError unless the number of classes, and the sizes, are whole and positive. */
  constructor(options: LearnedPriorOptions = {}) {
    super();
    requireModuleOptions('LearnedPrior', options, ['classes', 'size']);
    const { classes, size } = options;
    if (classes !== undefined) requireWhole('LearnedPrior', 'classes', classes, 1, MOST_CLASSES);
    if (size !== undefined) requireSpatialSizes('LearnedPrior', 'size', size);
    this.options = {
      ...(classes !== undefined && { classes }),
      ...(size !== undefined && { size: [...size] }),
    };
  }

  /**
   * @throws ValueError unless it is asked for the channels of one tensor, at least 2 where some go on, with as many
   * spatial axes as `size` has.
   */
  at(widths: readonly number[], place: LatentPlace): Bijection {
    using building = new Construction();
    requireList('LearnedPrior', 'channels', widths, 'the channels of one tensor');
    requireOptions('LearnedPrior', place, ['ndims', 'last']);
    const { ndims, last } = place;
    const [channels = 0, ...others] = widths;
    if (others.length > 0) {
      throw new ValueError(
        `LearnedPrior: got the channels of ${widths.length} tensors; expected those of one.`,
      );
    }
    requireDimensions('LearnedPrior', ndims, 0);
    requireBoolean('LearnedPrior', 'last', last);
    requireWhole('LearnedPrior', 'channels', channels, last ? 1 : 2);
    const { size } = this.options;
    if (size && size.length !== ndims) {
      throw new ValueError(
        `LearnedPrior: size is ${formatShape(size)}; expected ${ndims} numbers, one for each spatial axis.`,
      );
    }
    const made = last ? this.#top(channels) : split(channels, ndims);
    building.complete();
    return made;
  }

  /** x ↦ (x − μ)/σ with a mean and a deviation for each channel, or each class and channel, each number, or both. */
  #top(channels: number): Bijection {
    const { classes, size } = this.options;
    const sizes = { channels, transformer: normal() };
    const own = () => reverse(new ElementwiseTransform({ ...sizes, ...(size && { size }) }));
    if (classes === undefined) return own();
    const conditioner = new Dense({ inChannels: classes, outChannels: 2 * channels, gain: 0 });
    const ofClass = reverse(new ConditionalTransform({ ...sizes, conditioner }));
    return size ? new Sequential([own(), ofClass]) : ofClass;
  }
}

/** (x₁, x₂) ↦ (x₁, (x₂ − μ(x₁))/σ(x₁)) */
function split(channels: number, ndims: number): Bijection {
  const inChannels = Math.ceil(channels / 2);
  const sizes = { inChannels, outChannels: 2 * (channels - inChannels), gain: 0 };
  return reverse(
    new TransformerCoupling({
      channels,
      split: [inChannels, channels - inChannels],
      transformer: normal(),
      conditioner: ndims === 0 ? new Dense(sizes) : new Conv({ ...sizes, ndims }),
    }),
  );
}

/** σz + μ */
function normal(): AffineTransformer {
  return new AffineTransformer({ scaleFunction: exp() });
}
