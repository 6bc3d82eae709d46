/** The convolutional conditioner of Glow couplings. Mathematics: docs/math/residual-block.md */
import { RandomStream, reluGrad, type Tensor, tidy, ValueError, zeros } from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import { requireChannels, requireWhole } from './checks.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import { ConvLayer } from './conv-layer.ts';
import {
  type OutputActivation,
  type OutputActivationName,
  outputActivation,
} from './output-activation.ts';
import { Parameter } from './parameter.ts';

/** Options of `ResidualBlock`. */
export interface ResidualBlockOptions {
  readonly inChannels: number;
  readonly hidden: number;
  readonly outChannels: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Kernel size of the first and the last convolution, odd where the stride is 1. Default: 3. */
  readonly kernel1?: number;
  /** Odd kernel size of the middle convolution. Default: 1. */
  readonly kernel2?: number;
  /**
   * Stride of the first convolution. Where it is more than 1, the last one is transposed and
   * restores the resolution. Default: 1.
   */
  readonly stride?: number;
  /**
   * What stands behind the last convolution: nothing, ReLU (`fan: true` in InvertibleNetworks.jl),
   * or a gated linear unit (`fan: false` there), a ⊙ σ(b) of twice the channels. Default: `none`.
   */
  readonly outputActivation?: OutputActivationName;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The input, the two hidden layers, and what the output activation saw. The input is not owned. */
interface SavedResidualBlock extends Saved {
  readonly x: Tensor;
  readonly h1: Tensor;
  readonly h2: Tensor;
  readonly z: Tensor | undefined;
}

/** Deviation of the last layer's weights relative to the usual one. */
const lastLayerGain = 0.1;

/**
 * y = f(w₃ ∗ relu(w₂ ∗ relu(w₁ ∗ x + b₁) + b₂) + b₃), keeping the resolution, f being the output
 * activation.
 *
 * Weights start normal with variance 2/fan-in (He et al., 2015), the last ones ten times smaller,
 * so that a coupling starts close to the identity.
 *
 * @example
 * const block = new ResidualBlock({ inChannels: 2, hidden: 32, outChannels: 4 });
 * const { y, saved } = block.forward(x); // x [N, 2, H, W], y [N, 4, H, W]
 * const { dx } = block.backward(dy, saved);
 * saved.dispose();
 */
export class ResidualBlock implements Conditioner<SavedResidualBlock> {
  readonly parameters: readonly Parameter[];
  readonly #layers: readonly [ConvLayer, ConvLayer, ConvLayer];
  readonly #output: OutputActivation | undefined;
  readonly #inChannels: number;

  /** @throws ValueError for sizes that are not whole and positive, or even kernels of stride 1. */
  constructor(options: ResidualBlockOptions) {
    const { inChannels, hidden, outChannels, ndims = 2, kernel1 = 3, kernel2 = 1 } = options;
    const { stride = 1, random = new RandomStream(0) } = options;
    for (const [name, value] of Object.entries({
      inChannels,
      hidden,
      outChannels,
      ndims,
      kernel1,
      kernel2,
      stride,
    })) {
      requireWhole('ResidualBlock', name, value, 1);
    }
    if ((stride === 1 && kernel1 % 2 === 0) || kernel2 % 2 === 0) {
      throw new ValueError(
        `ResidualBlock: kernels of ${kernel1} and ${kernel2}; expected odd ones, which keep the ` +
          'resolution. Only the first may be even, with a stride.',
      );
    }
    this.#output = outputActivation(options.outputActivation ?? 'none');
    const lastChannels = outChannels * (this.#output?.channelFactor ?? 1);
    const weight = (name: string, out: number, into: number, kernel: number, fan: number) => {
      const shape = [out, into, ...new Array<number>(ndims).fill(kernel)];
      const gain = name === 'w3' ? lastLayerGain : 1;
      return new Parameter(name, random.normal(shape, gain * Math.sqrt(2 / fan)));
    };
    const taps1 = kernel1 ** ndims;
    const taps2 = kernel2 ** ndims;
    const transposed = stride > 1;
    const outer = { stride, padding: Math.ceil(Math.max(0, kernel1 - stride) / 2) };
    const w1 = weight('w1', hidden, inChannels, kernel1, inChannels * taps1);
    const w2 = weight('w2', hidden, hidden, kernel2, hidden * taps2);
    const w3 = transposed
      ? weight('w3', hidden, lastChannels, kernel1, (hidden * taps1) / stride ** ndims)
      : weight('w3', lastChannels, hidden, kernel1, hidden * taps1);
    const bias = (name: string, size: number) => new Parameter(name, zeros([size]));
    this.#layers = [
      new ConvLayer(w1, bias('b1', hidden), outer),
      new ConvLayer(w2, bias('b2', hidden), { padding: (kernel2 - 1) / 2 }),
      new ConvLayer(w3, bias('b3', lastChannels), { ...outer, transposed }),
    ];
    this.#inChannels = inChannels;
    this.parameters = this.#layers.flatMap((layer) => layer.parameters);
  }

  forward(x: Tensor): { y: Tensor; saved: SavedResidualBlock } {
    const { h1, h2, z } = this.#run(x);
    const y = this.#output?.apply(z);
    const dispose = () => {
      h1.dispose();
      h2.dispose();
      if (y) z.dispose();
    };
    return { y: y ?? z, saved: { x, h1, h2, z: y && z, dispose } };
  }

  backward(dy: Tensor, saved: SavedResidualBlock): { dx: Tensor } {
    const { x, h1, h2, z } = saved;
    const [first, middle, last] = this.#layers;
    const dz = z && this.#output?.grad(z, dy);
    const da2 = last.backward(h2, dz ?? dy, 'relu');
    dz?.dispose();
    const da1 = middle.backward(h1, da2, 'relu');
    da2.dispose();
    const dx = first.backward(x, da1);
    da1.dispose();
    return { dx };
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const [first, middle, last] = this.#layers;
      const { h1, h2, z } = this.#run(x);
      const dh1 = reluGrad(h1, first.tangent(x, h1, tangent.x, tangent));
      const dh2 = reluGrad(h2, middle.tangent(h1, h2, dh1, tangent));
      const dz = last.tangent(h2, z, dh2, tangent);
      if (!this.#output) return { y: z, dy: dz };
      return { y: this.#output.apply(z), dy: this.#output.tangent(z, dz) };
    });
  }

  #run(x: Tensor): { h1: Tensor; h2: Tensor; z: Tensor } {
    requireChannels('ResidualBlock', x, this.#inChannels);
    const [first, middle, last] = this.#layers;
    const size = x.shape.slice(2);
    const h1 = first.forward(x, 'relu', size);
    const h2 = middle.forward(h1, 'relu', size);
    return { h1, h2, z: last.forward(h2, 'none', size) };
  }
}
