/** A matrix or a convolution with a bias: the piece that the conditioners here are made of. */
import {
  alongChannels,
  Construction,
  channelSums,
  Module,
  Parameter,
  sumOfTerms,
  type Tangent,
} from '@invnet/layers';
import {
  add,
  conv,
  convFilterGrad,
  convInputGrad,
  matmul,
  type RandomStream,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';

/** Options of `AffineMap`. */
interface AffineMapOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Spatial axes; 0 for vectors, which a matrix maps. */
  readonly ndims: number;
  /** Odd. */
  readonly kernel: number;
  readonly random: RandomStream;
}

/** y = w x + b of vectors [N, C], or y = w ∗ x + b, which keeps the resolution. */
export class AffineMap extends Module {
  static readonly type: string = 'AffineMap';
  readonly options: Omit<AffineMapOptions, 'random'>;
  /** [out, in, …kernel] */
  readonly w: Parameter;
  readonly b: Parameter;

  constructor({ random, ...options }: AffineMapOptions) {
    super();
    using building = new Construction();
    const { inChannels, outChannels, ndims, kernel } = options;
    this.options = options;
    const shape = [outChannels, inChannels, ...new Array<number>(ndims).fill(kernel)];
    const deviation = Math.sqrt(2 / (inChannels * kernel ** ndims));
    this.w = new Parameter('w', random.normal(shape, deviation));
    this.b = new Parameter('b', zeros([outChannels]));
    building.complete();
  }

  forward(x: Tensor): Tensor {
    return tidy(() => add(this.#linear(x, this.w.data), alongChannels(this.b.data, x)));
  }

  /** Adds the parameters' gradients; the gradient of x. */
  backward(x: Tensor, dy: Tensor): Tensor {
    const { w, b } = this;
    const dense = this.options.ndims === 0;
    if (!w.frozen) {
      tidy(() =>
        w.takeGrad(
          dense
            ? matmul(dy, x, { transposeA: true })
            : convFilterGrad(x, dy, w.shape, { padding: this.#padding }),
        ),
      );
    }
    if (!b.frozen) tidy(() => b.takeGrad(channelSums(dy)));
    if (dense) return matmul(dy, w.data);
    return convInputGrad(dy, w.data, x.shape, { padding: this.#padding });
  }

  /** The derivative of `output` along dx and the parameters' directions. */
  tangent(x: Tensor, output: Tensor, dx: Tensor | undefined, tangent: Tangent): Tensor {
    const dw = tangent.parameters?.get(this.w);
    const db = tangent.parameters?.get(this.b);
    const moved = sumOfTerms(
      output,
      dx && this.#linear(dx, this.w.data),
      dw && this.#linear(x, dw),
    );
    return db ? add(moved, alongChannels(db, output)) : moved;
  }

  get #padding(): number {
    return (this.options.kernel - 1) / 2;
  }

  #linear(x: Tensor, w: Tensor): Tensor {
    if (this.options.ndims === 0) return matmul(x, w, { transposeB: true });
    return conv(x, w, { padding: this.#padding });
  }
}
