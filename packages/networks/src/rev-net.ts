/**
 * Reversible residual networks (Gomez, Ren, Urtasun and Grosse, "The reversible residual network: backpropagation
 * without storing activations", 2017). Mathematics: docs/math/networks/rev-net.md
 */
import {
  AdditiveTransformer,
  asConditioner,
  BatchNorm,
  type Chain,
  Conditioner,
  type ConditionerShape,
  Construction,
  Conv,
  chain,
  Dense,
  GlobalAveragePool,
  relu,
  requireDimensions,
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  type Saved,
  Sequential,
  type Tangent,
  TwoSidedCoupling,
} from '@invnet/layers';
import {
  RandomStream,
  requireList,
  requireWhole,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';

/** Options of `RevNet`. */
export interface RevNetOptions {
  /** Channels of the images. */
  readonly channels: number;
  /** How many classes there are, at least 2. */
  readonly classes: number;
  /** Channels at the first resolution, an even number; each next one has twice as many. Default: 32. */
  readonly width?: number;
  /** How many reversible blocks there are at each resolution. Default: [3, 3, 3]. */
  readonly blocks?: readonly number[];
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Draws all weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Resolutions beyond this leave no image. */
const MOST_RESOLUTIONS = 16;

/**
 * Images to one number for each class, before softmax: a convolution; at each resolution reversible blocks
 * y₁ = x₁ + F(x₂), y₂ = x₂ + G(y₁) on halves of the channels; between two resolutions a convolution of stride 2; at the
 * end the mean over all positions and a dense layer. F and G are each (BatchNorm, ReLU, 3×3 convolution) twice.
 *
 * It is a conditioner, so that it may stand wherever one does. What `forward` leaves for `backward` is the result of
 * each resolution and of what is between them; of its blocks nothing, however many they are.
 *
 * @example
 * const net = new RevNet({ channels: 1, classes: 10, width: 16, blocks: [2, 2, 2] });
 * const { y: logits, saved } = net.forward(x); // x [N, 1, 28, 28], logits [N, 10]
 * const { loss, gradient } = softmaxCrossEntropy(logits, labels);
 * net.backward(gradient, saved);
 * saved.dispose();
 */
export class RevNet extends Conditioner<Saved> {
  static readonly type: string = 'RevNet';
  readonly options: Required<Omit<RevNetOptions, 'random'>>;
  readonly inner: Chain;

  /** @throws ValueError for numbers that are not whole and positive, an odd width, or an empty list of blocks. */
  constructor(options: RevNetOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'classes', 'width', 'blocks', 'ndims'];
    requireModuleOptions('RevNet', options, names);
    const { channels, classes, width = 32, blocks = [3, 3, 3], ndims = 2 } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('RevNet', { channels, width });
    requireWhole('RevNet', 'classes', classes, 2);
    if (width % 2 !== 0) {
      throw new ValueError(`RevNet: width is ${width}; expected an even number, to be halved.`);
    }
    requireList('RevNet', 'blocks', blocks);
    requireWhole('RevNet', 'the number of resolutions', blocks.length, 1, MOST_RESOLUTIONS);
    for (const count of blocks) requireRepeats('RevNet', 'blocks', count);
    requireDimensions('RevNet', ndims, 1);
    this.options = { channels, classes, width, blocks: [...blocks], ndims };
    const conv = { ndims, random };
    const stages = blocks.flatMap((count, i) => {
      const wide = width * 2 ** i;
      const from = i === 0 ? channels : wide / 2;
      const enter = new Conv({
        ...conv,
        inChannels: from,
        outChannels: wide,
        stride: i === 0 ? 1 : 2,
      });
      return [enter, asConditioner(reversible(count, { ...conv, channels: wide }))];
    });
    const last = width * 2 ** (blocks.length - 1);
    this.inner = chain(
      ...stages,
      new BatchNorm({ channels: last }),
      relu(),
      new GlobalAveragePool(),
      new Dense({ inChannels: last, outChannels: classes, gain: 0.1, random }),
    );
    building.complete();
  }

  get classes(): number {
    return this.options.classes;
  }

  protected apply(x: Tensor) {
    return this.inner.forward(x);
  }

  protected applyBackward(dy: Tensor, saved: Saved) {
    return this.inner.backward(dy, saved as Saved<readonly Saved[]>);
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    return this.inner.jvp(x, tangent);
  }

  protected applyShape(x: Shape): Shape | undefined {
    return this.inner.outputShape(x);
  }
}

/** Blocks that keep resolution and channels. */
function reversible(
  count: number,
  {
    channels,
    ndims,
    random,
  }: { readonly channels: number; readonly ndims: number; readonly random: RandomStream },
): Sequential {
  const residual = ({ inChannels, outChannels }: ConditionerShape) => {
    const conv = { ndims, random };
    return chain(
      new BatchNorm({ channels: inChannels }),
      relu(),
      new Conv({ ...conv, inChannels, outChannels }),
      new BatchNorm({ channels: outChannels }),
      relu(),
      // Small, so that a block begins near the identity.
      new Conv({ ...conv, inChannels: outChannels, outChannels, gain: 0.1 }),
    );
  };
  return new Sequential(
    Array.from(
      { length: count },
      () =>
        new TwoSidedCoupling({
          channels,
          ndims,
          transformer: new AdditiveTransformer(),
          conditioner: residual,
        }),
    ),
  );
}
