/** The convolutional conditioner of Glow couplings. Mathematics: docs/math/residual-block.md */
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  RandomStream,
  reluGrad,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import { alongChannels, channelSums, requireChannels, requireWhole, sumOfTerms } from './checks.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import { Parameter } from './parameter.ts';

/** Options of `ResidualBlock`. */
export interface ResidualBlockOptions {
  readonly inChannels: number;
  readonly hidden: number;
  readonly outChannels: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size of the first and the last convolution. Default: 3. */
  readonly kernel1?: number;
  /** Odd kernel size of the middle convolution. Default: 1. */
  readonly kernel2?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The input and the two hidden layers. The input is not owned: keep it until `backward`. */
interface SavedResidualBlock extends Saved {
  readonly x: Tensor;
  readonly h1: Tensor;
  readonly h2: Tensor;
}

/** Deviation of the last layer's weights relative to the usual one. */
const lastLayerGain = 0.1;

/**
 * y = w₃ ∗ relu(w₂ ∗ relu(w₁ ∗ x + b₁) + b₂) + b₃, keeping the resolution.
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
  readonly #w: readonly [Parameter, Parameter, Parameter];
  readonly #b: readonly [Parameter, Parameter, Parameter];
  readonly #padding: readonly [number, number, number];
  readonly #inChannels: number;

  /** @throws ValueError for channels below 1, even kernels, or ndims other than 1, 2 or 3. */
  constructor(options: ResidualBlockOptions) {
    const { inChannels, hidden, outChannels, ndims = 2, kernel1 = 3, kernel2 = 1 } = options;
    const random = options.random ?? new RandomStream(0);
    requireWhole('ResidualBlock', 'inChannels', inChannels, 1);
    requireWhole('ResidualBlock', 'hidden', hidden, 1);
    requireWhole('ResidualBlock', 'outChannels', outChannels, 1);
    requireWhole('ResidualBlock', 'ndims', ndims, 1);
    requireWhole('ResidualBlock', '(kernel1 − 1)/2', (kernel1 - 1) / 2, 0);
    requireWhole('ResidualBlock', '(kernel2 − 1)/2', (kernel2 - 1) / 2, 0);
    const weight = (name: string, out: number, into: number, kernel: number, gain = 1) => {
      const shape = [out, into, ...new Array<number>(ndims).fill(kernel)];
      const deviation = gain * Math.sqrt(2 / (into * kernel ** ndims));
      return new Parameter(name, random.normal(shape, deviation));
    };
    this.#w = [
      weight('w1', hidden, inChannels, kernel1),
      weight('w2', hidden, hidden, kernel2),
      weight('w3', outChannels, hidden, kernel1, lastLayerGain),
    ];
    this.#b = [
      new Parameter('b1', zeros([hidden])),
      new Parameter('b2', zeros([hidden])),
      new Parameter('b3', zeros([outChannels])),
    ];
    this.#padding = [(kernel1 - 1) / 2, (kernel2 - 1) / 2, (kernel1 - 1) / 2];
    this.#inChannels = inChannels;
    this.parameters = [0, 1, 2].flatMap((i) => [this.#w[i]!, this.#b[i]!]);
  }

  forward(x: Tensor): { y: Tensor; saved: SavedResidualBlock } {
    requireChannels('ResidualBlock', x, this.#inChannels);
    const h1 = this.#layer(0, x, 'relu');
    const h2 = this.#layer(1, h1, 'relu');
    const y = this.#layer(2, h2, 'none');
    const dispose = () => {
      h1.dispose();
      h2.dispose();
    };
    return { y, saved: { x, h1, h2, dispose } };
  }

  backward(dy: Tensor, saved: SavedResidualBlock): { dx: Tensor } {
    const { x, h1, h2 } = saved;
    const dh2 = this.#layerBackward(2, h2, dy);
    const da2 = through(h2, dh2);
    const dh1 = this.#layerBackward(1, h1, da2);
    da2.dispose();
    const da1 = through(h1, dh1);
    const dx = this.#layerBackward(0, x, da1);
    da1.dispose();
    return { dx };
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor } {
    return tidy(() => {
      const h1 = this.#layer(0, x, 'relu');
      const dh1 = reluGrad(h1, this.#layerTangent(0, x, h1, tangent.x, tangent));
      const h2 = this.#layer(1, h1, 'relu');
      const dh2 = reluGrad(h2, this.#layerTangent(1, h1, h2, dh1, tangent));
      const y = this.#layer(2, h2, 'none');
      return { y, dy: this.#layerTangent(2, h2, y, dh2, tangent) };
    });
  }

  #layer(i: number, x: Tensor, activation: 'relu' | 'none'): Tensor {
    const bias = this.#b[i]!.data;
    return conv(x, this.#w[i]!.data, { padding: this.#padding[i]!, bias, activation });
  }

  /** Adds the gradients of layer i, and returns that of its input. */
  #layerBackward(i: number, input: Tensor, dy: Tensor): Tensor {
    const w = this.#w[i]!;
    const b = this.#b[i]!;
    const options = { padding: this.#padding[i]! };
    if (!w.frozen) tidy(() => w.accumulateGrad(convFilterGrad(input, dy, w.shape, options)));
    if (!b.frozen) tidy(() => b.accumulateGrad(channelSums(dy)));
    return convInputGrad(dy, w.data, input.shape, options);
  }

  #layerTangent(
    i: number,
    input: Tensor,
    output: Tensor,
    dinput: Tensor | undefined,
    tangent: Tangent,
  ): Tensor {
    const options = { padding: this.#padding[i]! };
    const dw = tangent.parameters?.get(this.#w[i]!);
    const db = tangent.parameters?.get(this.#b[i]!);
    const moved = sumOfTerms(
      output,
      dinput && conv(dinput, this.#w[i]!.data, options),
      dw && conv(input, dw, options),
    );
    return db ? add(moved, alongChannels(db, output)) : moved;
  }
}

/** The gradient behind a ReLU with output h; frees the one before it. */
function through(h: Tensor, dh: Tensor): Tensor {
  const result = reluGrad(h, dh);
  dh.dispose();
  return result;
}
