/** The convolutional conditioner of Glow couplings. Mathematics: docs/math/conditioners/residual-block.md */
import { RandomStream, reluGrad, type Shape, type Tensor, tidy } from '@invnet/tensor';
import {
  requireDimensions,
  requireKernel,
  requireModuleOptions,
  requireOddKernel,
  requireSizes,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { Construction } from '../tree/construction.ts';
import type { Parameter } from '../tree/parameter.ts';
import { ConvLayer, requireImage } from './conv-layer.ts';
import {
  type OutputActivation,
  type OutputActivationName,
  outputActivation,
} from './output-activation.ts';

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
  /** Behind the first and the middle convolution. Default: `relu()`. */
  readonly activation?: Activation;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The input, the two hidden layers, what another activation than ReLU saw of each, and what the last one saw. */
interface SavedResidualBlock {
  readonly x: Tensor;
  readonly h1: Tensor;
  readonly h2: Tensor;
  readonly a1: Tensor | undefined;
  readonly a2: Tensor | undefined;
  readonly z: Tensor | undefined;
}

/** The names of the options. */
export const residualBlockOptions = [
  'inChannels',
  'hidden',
  'outChannels',
  'ndims',
  'kernel1',
  'kernel2',
  'stride',
  'outputActivation',
  'activation',
];

/** Deviation of the last layer's weights relative to the usual one. */
const lastLayerGain = 0.1;

/**
 * y = f(w₃ ∗ relu(w₂ ∗ relu(w₁ ∗ x + b₁) + b₂) + b₃), keeping the resolution, f being the output
 * activation. Another `activation` takes the place of ReLU; `convBlock` normalizes as well.
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
export class ResidualBlock extends Conditioner<SavedResidualBlock> {
  static readonly type: string = 'ResidualBlock';
  /** Files from before there was a choice of `activation` have none, so what is left out stays out. */
  readonly options: Required<Omit<ResidualBlockOptions, 'random' | 'activation'>> &
    Pick<ResidualBlockOptions, 'activation'>;
  /** w₁, b₁, w₂, b₂, w₃ and b₃. */
  readonly weights: readonly Parameter[];
  readonly #layers: readonly [ConvLayer, ConvLayer, ConvLayer];
  readonly #output: OutputActivation | undefined;

  /** @throws ValueError for sizes that are not whole and positive, or even kernels of stride 1. */
  constructor(options: ResidualBlockOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ResidualBlock', options, residualBlockOptions);
    const { inChannels, hidden, outChannels, ndims = 2, kernel1 = 3, kernel2 = 1 } = options;
    const { stride = 1, outputActivation: name = 'none', random = new RandomStream(0) } = options;
    const { activation } = options;
    const sizes = { inChannels, hidden, outChannels, ndims, kernel1, kernel2, stride };
    requireSizes('ResidualBlock', { inChannels, hidden, outChannels });
    requireDimensions('ResidualBlock', ndims, 1);
    requireKernel('ResidualBlock', 'stride', stride);
    if (stride === 1) requireOddKernel('ResidualBlock', 'kernel1', kernel1);
    else requireKernel('ResidualBlock', 'kernel1', kernel1);
    requireOddKernel('ResidualBlock', 'kernel2', kernel2);
    if (activation) requireActivation('ResidualBlock', 'activation', activation);
    this.options = { ...sizes, outputActivation: name, ...(activation && { activation }) };
    this.#output = outputActivation(name);
    const inner = { inChannels: hidden, outChannels: hidden, ndims, random };
    const outer = { ...inner, kernel: kernel1, stride };
    this.#layers = [
      new ConvLayer({ ...outer, inChannels, suffix: '1' }),
      new ConvLayer({ ...inner, kernel: kernel2, suffix: '2' }),
      new ConvLayer({
        ...outer,
        outChannels: outChannels * (this.#output?.channelFactor ?? 1),
        transposed: stride > 1,
        gain: lastLayerGain,
        suffix: '3',
      }),
    ];
    this.weights = this.#layers.flatMap(({ w, b }) => [w, b]);
    building.complete();
  }

  protected apply(x: Tensor) {
    const { z, ...hidden } = this.#run(x);
    const y = this.#output?.apply(z);
    return { y: y ?? z, saved: { x, ...hidden, z: y && z } };
  }

  protected applyBackward(dy: Tensor, { x, h1, h2, a1, a2, z }: SavedResidualBlock) {
    const [first, middle, last] = this.#layers;
    const dz = z && this.#output?.grad(z, dy);
    const da2 = this.#back(last, h2, dz ?? dy, a2);
    dz?.dispose();
    const da1 = this.#back(middle, h1, da2, a1);
    da2.dispose();
    return { dx: first.backward(x, da1) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const [first, middle, last] = this.#layers;
    const { h1, h2, a1, a2, z } = this.#run(x);
    const dh1 = this.#grad(h1, first.tangent(x, h1, tangent.x, tangent), a1);
    const dh2 = this.#grad(h2, middle.tangent(h1, h2, dh1, tangent), a2);
    const dz = last.tangent(h2, z, dh2, tangent);
    if (!this.#output) return { y: z, dy: dz };
    return { y: this.#output.apply(z), dy: this.#output.tangent(z, dz) };
  }

  protected applyShape(x: Shape): Shape {
    const { inChannels, outChannels, ndims } = this.options;
    const [n, , ...size] = requireImage('ResidualBlock', x, inChannels, ndims);
    return [n!, outChannels, ...size];
  }

  #run(x: Tensor) {
    const [first, middle, last] = this.#layers;
    const size = x.shape.slice(2);
    const { h: h1, a: a1 } = this.#hidden(first, x, size);
    const { h: h2, a: a2 } = this.#hidden(middle, h1, size);
    return { h1, h2, a1, a2, z: last.forward(h2, 'none', size) };
  }

  /** A hidden layer; and, where ReLU is not fused with it, what its activation saw. */
  #hidden(layer: ConvLayer, x: Tensor, size: Shape): { h: Tensor; a: Tensor | undefined } {
    const { activation } = this.options;
    const a = layer.forward(x, activation ? 'none' : 'relu', size);
    return activation ? { h: activation.apply(a), a } : { h: a, a: undefined };
  }

  /** The gradient of what the activation saw before a layer of h. */
  #back(layer: ConvLayer, h: Tensor, dy: Tensor, a: Tensor | undefined): Tensor {
    if (!a) return layer.backward(h, dy, 'relu');
    return tidy(() => this.#grad(h, layer.backward(h, dy), a));
  }

  #grad(h: Tensor, dh: Tensor, a: Tensor | undefined): Tensor {
    const { activation } = this.options;
    return activation && a ? activation.grad(h, dh, a) : reluGrad(h, dh);
  }
}
