/**
 * The conditioners that other libraries are used with: chains of layers of any number and width, and
 * residual ones. Left out: normalization and dropout within them.
 * Mathematics: docs/math/conditioners/perceptron.md
 */
import {
  type Activation,
  Conditioner,
  Construction,
  relu,
  requireActivation,
  requireDimensions,
  requireModuleOptions,
  requireWhole,
  type Tangent,
} from '@invnet/layers';
import {
  add,
  formatShape,
  formatValue,
  RandomStream,
  requireList,
  type Shape,
  ShapeError,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { AffineMap } from './affine-map.ts';

/** Options of `Perceptron` and `ResidualPerceptron`. */
export interface PerceptronOptions {
  /** From the input to the output, so one more than there are layers. */
  readonly channels: readonly number[];
  /** Number of spatial axes, 0 to 3. Default: 0, vectors. */
  readonly ndims?: number;
  /** Odd kernel size of each layer; with spatial axes only. Default: 1 for each. */
  readonly kernels?: readonly number[];
  /** Between layers. Default: `relu()`. */
  readonly activation?: Activation;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** x, and what layers made of it, before the activations. */
type SavedStates = readonly Tensor[];

/**
 * y = L_k(f(… f(L₁ x))), with matrices on vectors [N, C], or with convolutions that keep the resolution.
 * Each layer's `w` is [out, in, …kernel] and starts normal with variance 2/fan-in; `b` starts at 0.
 *
 * @example
 * const net = new Perceptron({ channels: [2, 64, 32, 4], activation: tanh() });
 * const { y, saved } = net.forward(x); // x [N, 2], y [N, 4]
 */
export class Perceptron extends Conditioner<SavedStates> {
  static readonly type: string = 'Perceptron';
  readonly layers: readonly AffineMap[];
  readonly activation: Activation;
  readonly #options: Required<Omit<PerceptronOptions, 'random'>>;

  /** @throws ValueError for fewer than two numbers of channels, or kernels that are even or too few. */
  constructor(options: PerceptronOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'ndims', 'kernels', 'activation'];
    requireModuleOptions(this.type, options, names);
    const { channels, ndims = 0, activation = relu(), random = new RandomStream(0) } = options;
    requireList(this.type, 'channels', channels);
    for (const c of channels) requireWhole(this.type, 'channels', c, 1);
    if (channels.length < 2) {
      throw new ValueError(
        `${this.type}: channels is ${formatShape(channels)}; expected those of the input and the output.`,
      );
    }
    requireDimensions(this.type, ndims, 0);
    const kernels = options.kernels ?? channels.slice(1).map(() => 1);
    this.#requireKernels(kernels, channels.length - 1, ndims);
    this.activation = requireActivation(this.type, 'activation', activation);
    this.#options = { channels: [...channels], ndims, kernels: [...kernels], activation };
    this.layers = kernels.map((kernel, i) => {
      const [inChannels, outChannels] = [channels[i]!, channels[i + 1]!];
      return new AffineMap({ inChannels, outChannels, ndims, kernel, random });
    });
    building.complete();
  }

  get options() {
    return this.#options;
  }

  protected apply(x: Tensor): { y: Tensor; saved: SavedStates } {
    const states = [x];
    for (const layer of this.layers) states.push(this.#step(layer, states));
    return { y: states.pop()!, saved: states };
  }

  protected applyBackward(dy: Tensor, states: SavedStates) {
    let da = dy;
    for (let i = this.layers.length - 1; i > 0; i--) {
      const a = states[i]!;
      const h = this.activation.apply(a);
      da = this.activation.grad(h, this.layers[i]!.backward(h, da), a);
    }
    return { dx: this.layers[0]!.backward(states[0]!, da) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    let [h, dh] = [x, tangent.x];
    for (const [i, layer] of this.layers.entries()) {
      const a = layer.forward(h);
      const da = layer.tangent(h, a, dh, tangent);
      if (i === this.layers.length - 1) return { y: a, dy: da };
      h = this.activation.apply(a);
      dh = this.activation.grad(h, da, a);
    }
    return { y: h };
  }

  protected applyShape(x: Shape): Shape {
    const { channels, ndims } = this.#options;
    if (x.length === ndims + 2 && x[1] === channels[0]) {
      return [x[0]!, channels.at(-1)!, ...x.slice(2)];
    }
    const sizes = ['D', 'H', 'W'].slice(3 - ndims);
    throw new ShapeError(
      `${this.type}: got ${formatShape(x)}; expected [${['N', channels[0], ...sizes].join(', ')}].`,
    );
  }

  /** What the next layer makes of x, or of f of what the one before made. */
  #step(layer: AffineMap, states: readonly Tensor[]): Tensor {
    const before = states.at(-1)!;
    if (states.length === 1) return layer.forward(before);
    return tidy(() => layer.forward(this.activation.apply(before)));
  }

  #requireKernels(kernels: readonly number[], layers: number, ndims: number): void {
    requireList(this.type, 'kernels', kernels);
    const one = ndims === 0 ? 1 : Number.POSITIVE_INFINITY;
    const right = kernels.every((k) => Number.isInteger(k) && k > 0 && k % 2 === 1 && k <= one);
    if (right && kernels.length === layers) return;
    throw new ValueError(
      `${this.type}: kernels is ${formatValue(kernels)}; expected an odd number for each of ${layers} ` +
        `layers${ndims === 0 ? ', which is 1 without spatial axes' : ''}.`,
    );
  }
}

/**
 * h₀ = L₀ x, hₖ = hₖ₋₁ + L″ₖ f(L′ₖ f(hₖ₋₁)) for each block, y = L h: the `ResidualNet` of nflows, and its
 * `ConvResidualNet`. Its layers are L₀, two for each block, and L, so their number is even.
 *
 * @example new ResidualPerceptron({ channels: [2, 64, 64, 64, 4] }) // one block
 */
export class ResidualPerceptron extends Perceptron {
  static override readonly type: string = 'ResidualPerceptron';

  /** @throws ValueError as `Perceptron`, and unless layers are even in number and all hidden widths one. */
  constructor(options: PerceptronOptions) {
    super(options);
    const { channels } = this.options;
    const hidden = channels.slice(1, -1);
    if (channels.length % 2 === 1 && channels.length >= 3 && new Set(hidden).size === 1) return;
    throw new ValueError(
      `ResidualPerceptron: channels is ${formatShape(channels)}; expected an input, an odd number of ` +
        'equal hidden widths, and an output.',
    );
  }

  protected override apply(x: Tensor): { y: Tensor; saved: SavedStates } {
    const f = this.activation;
    const states = [x, this.layers[0]!.forward(x)];
    for (const [inner, outer] of this.#blocks) {
      const h = states.at(-1)!;
      const a = tidy(() => inner.forward(f.apply(h)));
      states.push(
        a,
        tidy(() => add(h, outer.forward(f.apply(a)))),
      );
    }
    return { y: this.layers.at(-1)!.forward(states.at(-1)!), saved: states };
  }

  protected override applyBackward(dy: Tensor, states: SavedStates) {
    let dh = this.layers.at(-1)!.backward(states.at(-1)!, dy);
    for (let i = this.layers.length - 2; i > 0; i -= 2) {
      const da = this.#backThrough(this.layers[i]!, states[i]!, dh);
      dh = add(dh, this.#backThrough(this.layers[i - 1]!, states[i - 1]!, da));
    }
    return { dx: this.layers[0]!.backward(states[0]!, dh) };
  }

  protected override applyTangent(x: Tensor, tangent: Tangent) {
    let h = this.layers[0]!.forward(x);
    let dh = this.layers[0]!.tangent(x, h, tangent.x, tangent);
    for (const [inner, outer] of this.#blocks) {
      const a = this.activation.apply(h);
      const z = inner.forward(a);
      const dz = inner.tangent(a, z, this.activation.grad(a, dh, h), tangent);
      const b = this.activation.apply(z);
      const out = outer.forward(b);
      dh = add(dh, outer.tangent(b, out, this.activation.grad(b, dz, z), tangent));
      h = add(h, out);
    }
    const last = this.layers.at(-1)!;
    const y = last.forward(h);
    return { y, dy: last.tangent(h, y, dh, tangent) };
  }

  /** The gradient of a, for layer(f(a)). */
  #backThrough(layer: AffineMap, a: Tensor, dy: Tensor): Tensor {
    const h = this.activation.apply(a);
    return this.activation.grad(h, layer.backward(h, dy), a);
  }

  get #blocks(): readonly (readonly [AffineMap, AffineMap])[] {
    const inner = this.layers.slice(1, -1);
    return Array.from({ length: inner.length / 2 }, (_, i) => [inner[2 * i]!, inner[2 * i + 1]!]);
  }
}
