/**
 * The network: a linear map of spectra, a hyperbolic network, a linear map to logits of classes. Only the
 * network's two states are kept from forward to backward, whatever its depth.
 */
import { Construction, Module, Parameter } from '@invnet/layers';
import { softmaxCrossEntropy } from '@invnet/metrics';
import { HyperbolicNetwork, type HyperbolicStage } from '@invnet/networks';
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  RandomStream,
  sumPerChannel,
  type Tensor,
  tidy,
  zeros,
  zerosLike,
} from '@invnet/tensor';

/** Options of `Segmenter`. */
export interface SegmenterOptions {
  readonly bands: number;
  readonly classes: number;
  /** Channels of each of the two states. */
  readonly channels: number;
  /** Channels inside the layers; half as many at the lowest resolution. */
  readonly hidden: number;
  /** Layers, at least 10. */
  readonly depth: number;
  /** Is the image a volume [1, bands, height, width] of one channel, or an image with bands as channels? */
  readonly volume: boolean;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** Says of every pixel of an image [N, bands, height, width] what it shows. */
export class Segmenter extends Module {
  static readonly type: string = 'Segmenter';
  readonly options: Omit<SegmenterOptions, 'random'>;
  readonly lift: ChannelMap;
  readonly network: HyperbolicNetwork;
  readonly readout: ChannelMap;

  constructor({ random = new RandomStream(0), ...options }: SegmenterOptions) {
    super();
    using building = new Construction();
    const { bands, classes, channels, hidden, depth, volume } = options;
    this.options = options;
    this.lift = new ChannelMap({ from: volume ? 1 : bands, to: channels, random });
    this.network = new HyperbolicNetwork({
      channels,
      architecture: architectureOf(depth, hidden),
      ndims: volume ? 3 : 2,
      random,
    });
    // Of a volume, each pixel has a line of states along the wavelengths.
    const states = volume ? channels * bands : channels;
    this.readout = new ChannelMap({ from: states, to: classes, random });
    building.complete();
  }

  /** Logits [N, classes, height, width]. */
  logits(image: Tensor): Tensor {
    return tidy(() => {
      const x = this.lift.apply(this.#asInput(image));
      const [, current] = this.network.forward([x, x]).y;
      return this.readout.apply(this.#asPixels(current, image));
    });
  }

  /**
   * The cross-entropy over the pixels of a mask, whose gradient is added to the parameters'. Nothing but the
   * last two states is kept: `backward` of the network finds all others again.
   */
  lossAndGradients(image: Tensor, labels: Uint8Array, mask: Uint8Array): Tensor {
    return tidy(() => {
      const input = this.#asInput(image);
      const x = this.lift.apply(input);
      const { y } = this.network.forward([x, x]);
      x.dispose();
      const [previous, current] = y;
      const { loss, dcurrent } = tidy(() => {
        const pixels = this.#asPixels(current, image);
        const { loss, gradient } = softmaxCrossEntropy(this.readout.apply(pixels), labels, {
          mask,
        });
        return { loss, dcurrent: this.readout.backward(pixels, gradient).reshape(current.shape) };
      });
      const { dx } = this.network.backward(y, [zerosLike(previous), dcurrent]);
      this.lift.accumulateGradients(input, add(...dx));
      return loss;
    });
  }

  #asInput(image: Tensor): Tensor {
    const [samples, ...sizes] = image.shape;
    return image.reshape(this.options.volume ? [samples!, 1, ...sizes] : image.shape);
  }

  #asPixels(state: Tensor, image: Tensor): Tensor {
    const [samples, , ...sizes] = image.shape;
    return state.reshape([samples!, -1, ...sizes]);
  }
}

/** y = W x + b of the channels, at every position. */
export class ChannelMap extends Module {
  static readonly type: string = 'ChannelMap';
  readonly options: { readonly from: number; readonly to: number };
  readonly w: Parameter;
  readonly b: Parameter;

  constructor({
    from,
    to,
    random = new RandomStream(0),
  }: {
    readonly from: number;
    readonly to: number;
    readonly random?: RandomStream;
  }) {
    super();
    using building = new Construction();
    this.options = { from, to };
    this.w = new Parameter('w', random.normal([to, from], 1 / Math.sqrt(from)));
    this.b = new Parameter('b', zeros([to]));
    building.complete();
  }

  apply(x: Tensor): Tensor {
    using w = this.#kernel(x);
    return conv(x, w, { bias: this.b.data });
  }

  /** Adds the parameters' gradients. */
  accumulateGradients(x: Tensor, dy: Tensor): void {
    tidy(() => {
      this.w.accumulateGrad(convFilterGrad(x, dy, this.#kernel(x).shape).reshape(this.w.shape));
      this.b.accumulateGrad(sumPerChannel(dy).reshape(this.b.shape));
    });
  }

  /** As `accumulateGradients`, and gives the gradient of x. */
  backward(x: Tensor, dy: Tensor): Tensor {
    this.accumulateGradients(x, dy);
    using w = this.#kernel(x);
    return convInputGrad(dy, w, x.shape);
  }

  /** The weights of a convolution over one position. */
  #kernel(x: Tensor): Tensor {
    return this.w.data.reshape([...this.w.shape, ...x.shape.slice(2).map(() => 1)]);
  }
}

/**
 * Down by two Haar transforms and up again, with a layer at each resolution. What is more in depth goes to
 * the full resolution, before and behind.
 */
function architectureOf(depth: number, hidden: number): HyperbolicStage[] {
  const low = Math.max(1, Math.floor(hidden / 2));
  const layers = (count: number) => new Array<HyperbolicStage>(count).fill({ hidden });
  return [
    ...layers(2 + Math.ceil((depth - 10) / 2)),
    { resolution: 'halve', hidden },
    { hidden },
    { resolution: 'halve', hidden: low },
    { hidden: low },
    { resolution: 'double', hidden },
    { hidden },
    { resolution: 'double', hidden },
    ...layers(1 + Math.floor((depth - 10) / 2)),
  ];
}
