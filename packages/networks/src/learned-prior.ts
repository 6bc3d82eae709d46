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
  requireWhole,
  reverse,
  TransformerCoupling,
} from '@invnet/layers';
import { requireBoolean, requireList, requireOptions, ValueError } from '@invnet/tensor';
import { type LatentPlace, LatentPrior } from './latent-prior.ts';

/** Options of `LearnedPrior`. */
export interface LearnedPriorOptions {
  /**
   * Gives the last scale's means and deviations for each of so many classes; the network's context is then [N, classes],
   * as `oneHot` of `@invnet/flows` makes it of labels. Default: no classes.
   */
  readonly classes?: number | undefined;
}

/** Classes at most. */
const MOST_CLASSES = 2 ** 20;

/**
 * The channels that leave at a scale have means and deviations by a 3×3 convolution of those that go on; the last scale's
 * channels have one each, or one for each class. All start as standard normal.
 *
 * @example
 * const net = new Glow({ channels: 3, scales: 3, prior: new LearnedPrior() });
 * const ofClass = new Glow({ channels: 3, prior: new LearnedPrior({ classes: 10 }) });
 * const { y, logdet } = ofClass.forward(x, oneHot(labels, 10));
 */
export class LearnedPrior extends LatentPrior {
  static readonly type: string = 'LearnedPrior';
  readonly options: Readonly<LearnedPriorOptions>;

  /** @throws ValueError unless the number of classes is whole and positive. */
  constructor(options: LearnedPriorOptions = {}) {
    super();
    requireModuleOptions('LearnedPrior', options, ['classes']);
    const { classes } = options;
    if (classes !== undefined) requireWhole('LearnedPrior', 'classes', classes, 1, MOST_CLASSES);
    this.options = classes === undefined ? {} : { classes };
  }

  /** @throws ValueError unless it is asked for the channels of one tensor, at least 2 where some go on. */
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
    const made = last ? this.#top(channels) : split(channels, ndims);
    building.complete();
    return made;
  }

  /** x ↦ (x − μ)/σ with a mean and a deviation for each channel, or each class and channel. */
  #top(channels: number): Bijection {
    const { classes } = this.options;
    const transformer = normal();
    if (classes === undefined) return reverse(new ElementwiseTransform({ channels, transformer }));
    const conditioner = new Dense({ inChannels: classes, outChannels: 2 * channels, gain: 0 });
    return reverse(new ConditionalTransform({ channels, transformer, conditioner }));
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
