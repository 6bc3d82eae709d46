/** The conditioner of couplings on vectors. Mathematics: docs/math/conditioners/dense-block.md */
import {
  add,
  formatShape,
  matmul,
  RandomStream,
  relu,
  reluGrad,
  type Shape,
  ShapeError,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { type Activation, requireActivation } from '../elementwise/activation.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';

/** Options of `DenseBlock`. */
export interface DenseBlockOptions {
  readonly inChannels: number;
  readonly hidden: number;
  readonly outChannels: number;
  /** Behind the first two layers. Default: `relu()`. */
  readonly activation?: Activation;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The input and the two hidden layers; and what another activation than ReLU saw of these. */
interface SavedDenseBlock {
  readonly inputs: readonly Tensor[];
  readonly seen: readonly (Tensor | undefined)[];
}

/** Deviation of the last layer's weights relative to the usual one. */
const lastLayerGain = 0.1;

/**
 * y = W₃ relu(W₂ relu(W₁ x + b₁) + b₂) + b₃ on vectors [N, C].
 *
 * Weights start as those of `ResidualBlock`: normal with variance 2/fan-in, the last ones ten times
 * smaller, so that a coupling starts close to the identity. Another `activation` takes the place of ReLU;
 * `convBlock` normalizes as well.
 *
 * @example
 * const block = new DenseBlock({ inChannels: 2, hidden: 32, outChannels: 4 });
 * const { y, saved } = block.forward(x); // x [N, 2], y [N, 4]
 */
export class DenseBlock extends Conditioner<SavedDenseBlock> {
  static readonly type: string = 'DenseBlock';
  /** Files from before there was a choice of `activation` have none, so what is left out stays out. */
  readonly options: Required<Omit<DenseBlockOptions, 'random' | 'activation'>> &
    Pick<DenseBlockOptions, 'activation'>;
  readonly layers: readonly { readonly w: Parameter; readonly b: Parameter }[];

  /** @throws ValueError for channels below 1. */
  constructor(options: DenseBlockOptions) {
    super();
    using building = new Construction();
    const names = ['inChannels', 'hidden', 'outChannels', 'activation'];
    requireModuleOptions('DenseBlock', options, names);
    const { inChannels, hidden, outChannels, random = new RandomStream(0) } = options;
    const { activation } = options;
    requireSizes('DenseBlock', { inChannels, hidden, outChannels });
    if (activation) requireActivation('DenseBlock', 'activation', activation);
    this.options = { inChannels, hidden, outChannels, ...(activation && { activation }) };
    const widths = [inChannels, hidden, hidden, outChannels];
    this.layers = [1, 2, 3].map((i) => {
      const [into, out] = [widths[i - 1]!, widths[i]!];
      const deviation = (i === 3 ? lastLayerGain : 1) * Math.sqrt(2 / into);
      return {
        w: new Parameter(`w${i}`, random.normal([out, into], deviation)),
        b: new Parameter(`b${i}`, zeros([out])),
      };
    });
    building.complete();
  }

  protected apply(x: Tensor) {
    const { h: h1, a: a1 } = this.#hidden(0, x);
    const { h: h2, a: a2 } = this.#hidden(1, h1);
    return { y: this.#layer(2, h2), saved: { inputs: [x, h1, h2], seen: [undefined, a1, a2] } };
  }

  protected applyBackward(dy: Tensor, { inputs, seen }: SavedDenseBlock) {
    let da = dy;
    for (let i = 2; ; i--) {
      const { w, b } = this.layers[i]!;
      const input = inputs[i]!;
      if (!w.frozen) w.takeGrad(matmul(da, input, { transposeA: true }));
      if (!b.frozen) b.takeGrad(channelSums(da));
      const dinput = matmul(da, w.data);
      if (i === 0) return { dx: dinput };
      da = this.#grad(input, dinput, seen[i]);
    }
  }

  protected applyTangent(x: Tensor, tangent: Tangent) {
    const { h: h1, a: a1 } = this.#hidden(0, x);
    const dh1 = this.#grad(h1, this.#tangent(0, x, h1, tangent.x, tangent), a1);
    const { h: h2, a: a2 } = this.#hidden(1, h1);
    const dh2 = this.#grad(h2, this.#tangent(1, h1, h2, dh1, tangent), a2);
    const y = this.#layer(2, h2);
    return { y, dy: this.#tangent(2, h2, y, dh2, tangent) };
  }

  protected applyShape(x: Shape): Shape {
    const { inChannels, outChannels } = this.options;
    if (x.length === 2 && x[1] === inChannels) return [x[0]!, outChannels];
    throw new ShapeError(`DenseBlock: got ${formatShape(x)}; expected [N, ${inChannels}].`);
  }

  /** Layer i, without an activation. */
  #layer(i: number, x: Tensor): Tensor {
    const { w, b } = this.layers[i]!;
    return tidy(() => add(matmul(x, w.data, { transposeB: true }), b.data));
  }

  /** Layer i with its activation; and what that saw, where it is not ReLU. */
  #hidden(i: number, x: Tensor): { h: Tensor; a: Tensor | undefined } {
    const { activation } = this.options;
    if (!activation) return { h: tidy(() => relu(this.#layer(i, x))), a: undefined };
    const a = this.#layer(i, x);
    return { h: activation.apply(a), a };
  }

  #grad(h: Tensor, dh: Tensor, a: Tensor | undefined): Tensor {
    const { activation } = this.options;
    return activation && a ? activation.grad(h, dh, a) : reluGrad(h, dh);
  }

  #tangent(
    i: number,
    input: Tensor,
    output: Tensor,
    dinput: Tensor | undefined,
    tangent: Tangent,
  ): Tensor {
    const { w, b } = this.layers[i]!;
    const dw = tangent.parameters?.get(w);
    const db = tangent.parameters?.get(b);
    const moved = sumOfTerms(
      output,
      dinput && matmul(dinput, w.data, { transposeB: true }),
      dw && matmul(input, dw, { transposeB: true }),
    );
    return db ? add(moved, db) : moved;
  }
}
