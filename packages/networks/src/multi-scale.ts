/** Flow steps over several resolutions: what Glow and the multi-scale HINT networks share. */

import {
  type Bijection,
  Composite,
  type ConditionerFactory,
  type Conditioners,
  Construction,
  compose,
  FirstHalf,
  type Options,
  requireBijection,
  requireDimensions,
  requireModuleOptions,
  requireRepeats,
  requireWhole,
  reverse,
  Sequential,
  type ShapeOf,
  type State,
  shapesIn,
  supplyConditioners,
} from '@invnet/layers';
import {
  formatShape,
  requireBoolean,
  requireFunction,
  requireList,
  type Shape,
  ShapeError,
  type Tensor,
} from '@invnet/tensor';

import { type LatentPrior, requirePrior } from './latent-prior.ts';

/** Sizes that all multi-scale networks take. */
export interface MultiScaleSizes {
  /** Number L of scales; spatial sizes are divisible by 2ᴸ. Default: 2. */
  readonly scales?: number;
  /** Number K of flow steps per scale. Default: 8. */
  readonly steps?: number;
  /** Number of spatial axes, 0 to 3. Default: 2. */
  readonly ndims?: number;
  /** Lets half of the channels leave after each scale but the last. Default: true. */
  readonly splitScales?: boolean;
}

/** The names of the sizes. */
export const sizeOptions = ['scales', 'steps', 'ndims', 'splitScales'];

/** Scales beyond this halve the resolution more often than any image has room for. */
const MOST_SCALES = 16;

/** What a `MultiScale` is made of. */
export interface MultiScaleOptions<S extends State> extends MultiScaleSizes {
  /** Channels of the state's tensors. */
  readonly channels: readonly number[];
  /** Halves the resolution; not asked for without spatial axes. */
  readonly squeeze: Bijection<S>;
  /** Makes a flow step for states of the given channels at a scale, with conditioners made as given. */
  readonly step: (
    channels: readonly number[],
    scale: number,
    conditioner: ConditionerFactory | undefined,
  ) => Bijection<S>;
  /** Makes the conditioners of the steps, or all of them, in order. Default: the steps' own. */
  readonly conditioner?: Conditioners | undefined;
  /** What the latents of a scale pass before they leave, such as a `LearnedPrior`. Default: nothing. */
  readonly prior?: LatentPrior<S> | undefined;
  /** Put around each scale, what is inside included; at each call anew, so without parts of its own. */
  readonly around?: (network: Bijection<S>, scale: number) => Bijection<S>;
}

/**
 * Per scale a squeeze and K steps, then the scales inside it on the first half of the channels, and
 * the squeeze undone: a map between states of one shape. Without spatial axes nothing is squeezed.
 *
 * Parameters are named `scales.0.steps.3.<name in the step>` and `scales.0.prior.<name>`. Networks of one's own extend it with a
 * `type` and `options`; as it stands, `step` and `around` are functions, which files know by `named`.
 */
export class MultiScale<S extends State = Tensor> extends Composite<S> {
  static readonly type: string = 'MultiScale';
  readonly squeeze: Bijection<S>;
  readonly scales: readonly { readonly steps: Sequential<S>; readonly prior?: Bijection<S> }[];
  readonly #made: MultiScaleOptions<S>;
  readonly #sizes: Required<MultiScaleSizes>;

  /** @throws ValueError for numbers that are not whole and positive, or ndims beyond 3. */
  constructor(options: MultiScaleOptions<S>) {
    super();
    using building = new Construction();
    const names = ['channels', 'squeeze', 'step', 'conditioner', 'prior', 'around'];
    requireModuleOptions(this.type, options, [...sizeOptions, ...names]);
    const { channels, squeeze, step, prior, around } = options;
    this.#sizes = multiScaleDefaults(this.type, options);
    requireFunction(this.type, 'step', step);
    requirePrior(this.type, prior);
    if (around !== undefined) requireFunction(this.type, 'around', around);
    requireList(this.type, 'channels', channels);
    for (const c of channels) requireWhole(this.type, 'channels', c, 1);
    const { scales, steps, ndims, splitScales } = this.#sizes;
    const { conditioner, made } = supplyConditioners(this.type, options.conditioner);
    this.squeeze = requireBijection(this.type, 'squeeze', squeeze);
    this.scales = Array.from({ length: scales }, (_, scale) => {
      const widths = channels.map((c) => widthAt(c, scale, this.#sizes));
      const makeStep = () => step(widths, scale, conditioner);
      const made = { steps: new Sequential(Array.from({ length: steps }, makeStep)) };
      const last = scale === scales - 1;
      return prior && (last || splitScales)
        ? {
            ...made,
            prior: requireBijection(this.type, 'prior', prior.at(widths, { ndims, last })),
          }
        : made;
    });
    this.#made = { ...options, conditioner: made };
    building.complete();
  }

  get options(): Options {
    const { channels, step, conditioner, prior, around } = this.#made;
    return { ...this.#sizes, channels, squeeze: this.squeeze, step, conditioner, prior, around };
  }

  /** The sizes, defaults filled in. */
  get sizes(): Required<MultiScaleSizes> {
    return this.#sizes;
  }

  /** What it was made with for the conditioners: all of them, or a function that has a name. */
  get conditioner(): Conditioners | undefined {
    return this.#made.conditioner;
  }

  /** What the latents pass, as it was given. */
  get prior(): LatentPrior<S> | undefined {
    return this.#made.prior;
  }

  /** What stands around a scale, what is inside included; made at each call, of the parts of now. */
  protected around(network: Bijection<S>, scale: number): Bijection<S> {
    return this.#made.around?.(network, scale) ?? network;
  }

  protected get whole(): Bijection<S> {
    const { ndims, splitScales } = this.#sizes;
    return this.scales.reduceRight<Bijection<S> | undefined>((network, { steps, prior }, scale) => {
      const inside = network ? [splitScales ? new FirstHalf(network) : network] : [];
      const flow = [steps, ...(prior ? [prior] : []), ...inside];
      const all = ndims === 0 ? flow : [this.squeeze, ...flow, reverse(this.squeeze)];
      return this.around(compose<S>(...all), scale);
    }, undefined)!;
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    shapesIn(x).forEach((shape, i) => {
      this.#requireShape(shape, this.#made.channels[i]!);
    });
    return super.applyShape(x);
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.applyShape(y);
  }

  #requireShape(shape: Shape, channels: number): void {
    const { ndims, scales } = this.#sizes;
    const factor = ndims === 0 ? 1 : 2 ** scales;
    if (
      shape.length === ndims + 2 &&
      shape[1] === channels &&
      shape.slice(2).every((s) => s % factor === 0)
    ) {
      return;
    }
    const sizes = ['N', channels, ...['D', 'H', 'W'].slice(3 - ndims)].join(', ');
    const rule = ndims === 0 ? '' : ` with spatial sizes divisible by ${factor} (2 per scale)`;
    const axes = shape.length - 2;
    const single = shape.length === ndims + 1 && shape[0] === channels && shape[1] !== channels;
    const advice = single
      ? ` The batch is the first axis: ${formatShape([1, ...shape])} for one sample.`
      : axes === ndims || axes < 0 || axes > 3
        ? ''
        : ` For data with ${axes} spatial axes it is made with ndims: ${axes}.`;
    throw new ShapeError(
      `${this.type}: got ${formatShape(shape)}; expected [${sizes}]${rule}.${advice}`,
    );
  }
}

/** The sizes with their defaults. @throws ValueError for one that is not whole and positive. */
export function multiScaleDefaults(
  network: string,
  options: MultiScaleSizes,
): Required<MultiScaleSizes> {
  const { scales = 2, steps = 8, ndims = 2, splitScales = true } = options;
  requireWhole(network, 'scales', scales, 1, MOST_SCALES);
  requireRepeats(network, 'steps', steps);
  requireDimensions(network, ndims, 0);
  requireBoolean(network, 'splitScales', splitScales);
  return { scales, steps, ndims, splitScales };
}

/** Channels of a scale's steps. */
function widthAt(channels: number, scale: number, sizes: Required<MultiScaleSizes>): number {
  const bands = 2 ** sizes.ndims;
  let width = channels * bands;
  for (let i = 0; i < scale; i++)
    width = (sizes.splitScales ? Math.ceil(width / 2) : width) * bands;
  return width;
}
