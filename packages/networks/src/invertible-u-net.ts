/**
 * Invertible U-Nets (Etmann, Ke and Schönlieb, "iUNets: learnable invertible up- and downsampling for large-scale
 * inverse problems", 2020). Mathematics: docs/math/networks/invertible-u-net.md
 */
import {
  AdditiveTransformer,
  type Bijection,
  Composite,
  type Conditioners,
  Construction,
  compose,
  FirstHalf,
  type Options,
  requireDimensions,
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  reverse,
  Sequential,
  supplyConditioners,
  type Transformer,
  TwoSidedCoupling,
} from '@invnet/layers';
import { formatShape, RandomStream, requireWhole, type Shape, ShapeError } from '@invnet/tensor';
import { LearnedSqueeze } from './learned-squeeze.ts';

/** Options of `InvertibleUNet`. */
export interface InvertibleUNetOptions {
  /** Channels of the data, at least 2. */
  readonly channels: number;
  /** Number of resolutions, from 1 on; spatial sizes are divisible by 2 for each but the first. Default: 3. */
  readonly levels?: number;
  /** Couplings at each resolution on the way down, and again on the way up. Default: 2. */
  readonly steps?: number;
  /** Width of the default conditioners. Default: 64. */
  readonly hidden?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** What couplings do to either half. Default: `new AdditiveTransformer()`, with which volumes are kept. */
  readonly transformer?: Transformer;
  /** Makes the couplings' conditioners, or all of them in order. Default: see `defaultConditioner`. */
  readonly conditioner?: Conditioners;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'levels', 'steps', 'hidden', 'ndims', 'transformer', 'conditioner'],
];

/** Levels beyond this halve the resolution more often than any image has room for. */
const MOST_LEVELS = 16;

/** Both ways at one resolution. */
interface Level {
  readonly down: Sequential;
  /** Between this level and the next; none at the last, which has no way up either. */
  readonly squeeze?: LearnedSqueeze;
  readonly up?: Sequential;
}

/**
 * A U-Net that is a bijection: at each resolution couplings on the way down, then half of the channels skip to the
 * way up and the others go through a learned squeeze to the next resolution, and come back by its inverse;
 * couplings on the way up see both. With the default transformer logdet = 0.
 *
 * Nothing of the way down is kept for the way up, and nothing of either for `backward`: memory is that of one
 * coupling, whatever the depth. Parameters are named `levels.0.down.1.first.conditioner.w1`.
 *
 * @example
 * const net = new InvertibleUNet({ channels: 4, levels: 4, steps: 2, ndims: 3, hidden: 16 });
 * const { y } = net.forward(x); // x and y [N, 4, D, H, W], D, H and W divisible by 8
 */
export class InvertibleUNet extends Composite {
  static readonly type: string = 'InvertibleUNet';
  readonly levels: readonly Level[];
  readonly #options: Options;
  readonly #ndims: number;
  readonly #channels: number;

  /** @throws ValueError for numbers that are not whole and positive, fewer than 2 channels, or ndims beyond 3. */
  constructor(options: InvertibleUNetOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('InvertibleUNet', options, optionNames);
    const { channels, levels = 3, steps = 2, hidden = 64, ndims = 2 } = options;
    const { random = new RandomStream(0), conditioner } = options;
    requireWhole('InvertibleUNet', 'channels', channels, 2);
    requireWhole('InvertibleUNet', 'levels', levels, 1, MOST_LEVELS);
    requireRepeats('InvertibleUNet', 'steps', steps);
    requireSizes('InvertibleUNet', { hidden });
    requireDimensions('InvertibleUNet', ndims, 1);
    const transformer = options.transformer ?? new AdditiveTransformer();
    const supply = supplyConditioners('InvertibleUNet', conditioner);
    const couplings = (width: number) =>
      new Sequential(
        Array.from(
          { length: steps },
          () =>
            new TwoSidedCoupling({
              ...{ channels: width, transformer, hidden, ndims, random },
              ...(supply.conditioner && { conditioner: supply.conditioner }),
            }),
        ),
      );
    let width = channels;
    this.levels = Array.from({ length: levels }, (_, level): Level => {
      const down = couplings(width);
      if (level === levels - 1) return { down };
      const below = Math.ceil(width / 2);
      const squeeze = new LearnedSqueeze({ channels: below, ndims });
      const up = couplings(width);
      width = below * 2 ** ndims;
      return { down, squeeze, up };
    });
    this.#channels = channels;
    this.#ndims = ndims;
    const sizes = { channels, levels, steps, hidden, ndims };
    this.#options = { ...sizes, transformer, conditioner: supply.made };
    building.complete();
  }

  get options(): Options {
    return this.#options;
  }

  protected get whole(): Bijection {
    return this.levels.reduceRight<Bijection | undefined>((below, { down, squeeze, up }) => {
      if (!below || !squeeze || !up) return down;
      return compose(down, new FirstHalf(compose(squeeze, below, reverse(squeeze))), up);
    }, undefined)!;
  }

  protected override applyShape(x: Shape): Shape {
    const factor = 2 ** (this.levels.length - 1);
    const fits =
      x.length === this.#ndims + 2 &&
      x[1] === this.#channels &&
      x.slice(2).every((size) => size % factor === 0);
    if (fits) return super.applyShape(x);
    const axes = ['D', 'H', 'W'].slice(3 - this.#ndims).join(', ');
    throw new ShapeError(
      `InvertibleUNet: got ${formatShape(x)}; expected [N, ${this.#channels}, ${axes}] with spatial sizes ` +
        `divisible by ${factor} (2 for each level but the first).`,
    );
  }

  protected override invertShape(y: Shape): Shape {
    return this.applyShape(y);
  }
}
