/**
 * The symmetric convolution of hyperbolic networks (Lensink, Peters and Haber, "Fully hyperbolic
 * convolutional neural networks", 2019). Mathematics: docs/math/hyperbolic-layer.md
 */
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  neg,
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

/** Options of `SymmetricBlock`. */
export interface SymmetricBlockOptions {
  readonly channels: number;
  /** Channels between the two convolutions. Default: `channels`. */
  readonly hidden?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Odd kernel size. Default: 3. */
  readonly kernel?: number;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The hidden layer. The input is not owned: keep it until `backward`. */
interface SavedSymmetricBlock extends Saved {
  readonly x: Tensor;
  readonly h: Tensor;
}

/**
 * g(x) = −Kᵀ relu(K x + b), with one convolution K and its adjoint. Its Jacobian −Kᵀ D K is
 * symmetric and negative semi-definite, which keeps a leapfrog step stable.
 *
 * @example
 * const block = new SymmetricBlock({ channels: 4, hidden: 16 });
 * const { y, saved } = block.forward(x); // x and y [N, 4, H, W]
 */
export class SymmetricBlock implements Conditioner<SavedSymmetricBlock> {
  readonly parameters: readonly Parameter[];
  readonly #w: Parameter;
  readonly #b: Parameter;
  readonly #channels: number;
  readonly #options: { readonly padding: number };

  /** @throws ValueError for channels below 1, an even kernel, or ndims below 1. */
  constructor(options: SymmetricBlockOptions) {
    const { channels, hidden = channels, ndims = 2, kernel = 3 } = options;
    const random = options.random ?? new RandomStream(0);
    requireWhole('SymmetricBlock', 'channels', channels, 1);
    requireWhole('SymmetricBlock', 'hidden', hidden, 1);
    requireWhole('SymmetricBlock', 'ndims', ndims, 1);
    requireWhole('SymmetricBlock', '(kernel − 1)/2', (kernel - 1) / 2, 0);
    // ‖K‖ near 1, so that the eigenvalues of KᵀDK stay within the leapfrog step's bound of 4.
    const fan = (channels + hidden) * kernel ** ndims;
    const shape = [hidden, channels, ...new Array<number>(ndims).fill(kernel)];
    this.#w = new Parameter('w', random.normal(shape, Math.sqrt(2 / fan)));
    this.#b = new Parameter('b', zeros([hidden]));
    this.#channels = channels;
    this.#options = { padding: (kernel - 1) / 2 };
    this.parameters = [this.#w, this.#b];
  }

  forward(x: Tensor): { y: Tensor; saved: SavedSymmetricBlock } {
    requireChannels('SymmetricBlock', x, this.#channels);
    const h = this.#hidden(x);
    const y = tidy(() => neg(this.#adjoint(h, x)));
    return { y, saved: { x, h, dispose: () => h.dispose() } };
  }

  backward(dy: Tensor, { x, h }: SavedSymmetricBlock): { dx: Tensor } {
    return tidy(() => {
      const da = reluGrad(h, neg(conv(dy, this.#w.data, this.#options)));
      if (!this.#w.frozen) {
        const shape = this.#w.shape;
        this.#w.accumulateGrad(convFilterGrad(dy, h, shape, this.#options), -1);
        this.#w.takeGrad(convFilterGrad(x, da, shape, this.#options));
      }
      if (!this.#b.frozen) this.#b.takeGrad(channelSums(da));
      return { dx: this.#adjoint(da, x) };
    });
  }

  jvp(x: Tensor, tangent: Tangent): { y: Tensor; dy: Tensor } {
    requireChannels('SymmetricBlock', x, this.#channels);
    const dw = tangent.parameters?.get(this.#w);
    const db = tangent.parameters?.get(this.#b);
    return tidy(() => {
      const h = this.#hidden(x);
      const da = sumOfTerms(
        h,
        tangent.x && conv(tangent.x, this.#w.data, this.#options),
        dw && conv(x, dw, this.#options),
      );
      const dh = reluGrad(h, db ? add(da, alongChannels(db, h)) : da);
      const moved = sumOfTerms(
        x,
        this.#adjoint(dh, x),
        dw && convInputGrad(h, dw, x.shape, this.#options),
      );
      return { y: neg(this.#adjoint(h, x)), dy: neg(moved) };
    });
  }

  #hidden(x: Tensor): Tensor {
    return conv(x, this.#w.data, { ...this.#options, bias: this.#b.data, activation: 'relu' });
  }

  /** Kᵀh, of the shape of x. */
  #adjoint(h: Tensor, x: Tensor): Tensor {
    return convInputGrad(h, this.#w.data, x.shape, this.#options);
  }
}
