/**
 * A residual block that sees a context of any size through a dense layer.
 * Mathematics: docs/math/conditional-residual-block.md
 */
import {
  add,
  concat,
  formatShape,
  matmul,
  RandomStream,
  relu,
  reluGrad,
  type Shape,
  ShapeError,
  sizeOf,
  split,
  type Tensor,
  tidy,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import type { Tangent } from './bijection.ts';
import { channelSums, requireWhole, sumOfTerms } from './checks.ts';
import type { Conditioner, Saved } from './conditioner.ts';
import { Parameter } from './parameter.ts';
import { ResidualBlock, type ResidualBlockOptions } from './residual-block.ts';

/** Options of `ConditionalResidualBlock`; those of its `ResidualBlock` among them. */
export interface ConditionalResidualBlockOptions extends Omit<ResidualBlockOptions, 'ndims'> {
  /** Numbers per sample of the context, whatever its shape. */
  readonly contextSize: number;
  /** Spatial sizes of x. */
  readonly size: Shape;
  /** Channels of the image that the context becomes. Default: `inChannels`. */
  readonly contextChannels?: number;
}

/** The image of the context, the joined input, and what the block saved. The context is not owned. */
interface SavedConditional extends Saved {
  readonly context: Tensor;
  readonly image: Tensor;
  readonly block: ReturnType<ResidualBlock['forward']>['saved'];
}

/**
 * y = g([x, relu(W₀ d + b₀)]): a dense layer makes an image of the context d, which a
 * `ResidualBlock` g sees beside x, joined along the channels.
 *
 * @example
 * const block = new ConditionalResidualBlock({
 *   inChannels: 2, hidden: 32, outChannels: 4, contextSize: 10, size: [16, 16],
 * });
 * const { y } = block.forward(x, d); // x [N, 2, 16, 16], d [N, 10]
 */
export class ConditionalResidualBlock implements Conditioner<SavedConditional> {
  readonly parameters: readonly Parameter[];
  readonly #w: Parameter;
  readonly #b: Parameter;
  readonly #block: ResidualBlock;
  readonly #channels: readonly [number, number];
  readonly #size: Shape;

  /** @throws ValueError for sizes that are not whole and positive. */
  constructor(options: ConditionalResidualBlockOptions) {
    const { inChannels, contextSize, size, contextChannels = inChannels } = options;
    const random = options.random ?? new RandomStream(0);
    requireWhole('ConditionalResidualBlock', 'inChannels', inChannels, 1);
    requireWhole('ConditionalResidualBlock', 'contextSize', contextSize, 1);
    requireWhole('ConditionalResidualBlock', 'contextChannels', contextChannels, 1);
    for (const s of size) requireWhole('ConditionalResidualBlock', 'size', s, 1);
    const positions = sizeOf(size);
    const shape = [contextChannels * positions, contextSize];
    this.#w = new Parameter('w0', random.normal(shape, Math.sqrt(2 / contextSize)));
    this.#b = new Parameter('b0', zeros([contextChannels * positions]));
    this.#block = new ResidualBlock({
      ...options,
      inChannels: inChannels + contextChannels,
      ndims: size.length,
      random,
    });
    this.#channels = [inChannels, contextChannels];
    this.#size = size;
    this.parameters = [this.#w, this.#b, ...this.#block.parameters];
  }

  /** @throws ValueError without a context, ShapeError for one of another size or batch. */
  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: SavedConditional } {
    const d = this.#check(x, context);
    const image = tidy(() => relu(this.#dense(d, this.#w.data, this.#b.data)));
    const joined = concat([x, image], 1);
    const { y, saved } = this.#block.forward(joined);
    const dispose = () => {
      saved.dispose();
      joined.dispose();
      image.dispose();
    };
    return { y, saved: { context: d, image, block: saved, dispose } };
  }

  backward(dy: Tensor, { context, image, block }: SavedConditional) {
    return tidy(() => {
      const { dx: both } = this.#block.backward(dy, block);
      const [dx, dimage] = split(both, 1, this.#channels);
      const n = context.shape[0]!;
      const da = reluGrad(image, dimage!).reshape([n, -1]);
      const flat = context.reshape([n, -1]);
      if (!this.#w.frozen) this.#w.takeGrad(matmul(da, flat, { transposeA: true }));
      if (!this.#b.frozen) this.#b.takeGrad(channelSums(da));
      return { dx: dx!, dcontext: matmul(da, this.#w.data).reshape(context.shape) };
    });
  }

  jvp(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor } {
    const d = this.#check(x, context);
    return tidy(() => {
      const image = relu(this.#dense(d, this.#w.data, this.#b.data));
      const dw = tangent.parameters?.get(this.#w);
      const db = tangent.parameters?.get(this.#b);
      const da = sumOfTerms(
        image,
        tangent.context && this.#dense(tangent.context, this.#w.data),
        dw && this.#dense(d, dw),
        db && add(zerosLike(image), db.reshape([1, ...image.shape.slice(1)])),
      );
      const direction = concat([tangent.x ?? zerosLike(x), reluGrad(image, da)], 1);
      const { parameters } = tangent;
      return this.#block.jvp(concat([x, image], 1), { x: direction, parameters });
    });
  }

  /** W d + b as an image. */
  #dense(d: Tensor, w: Tensor, b?: Tensor): Tensor {
    const n = d.shape[0]!;
    const flat = matmul(d.reshape([n, -1]), w, { transposeB: true });
    return (b ? add(flat, b) : flat).reshape([n, this.#channels[1], ...this.#size]);
  }

  #check(x: Tensor, context: Tensor | undefined): Tensor {
    if (!context) throw new ValueError('ConditionalResidualBlock: expected a context, got none.');
    const [n, ...sample] = context.shape;
    const [, contextSize] = this.#w.shape;
    if (n !== x.shape[0] || sizeOf(sample) !== contextSize) {
      throw new ShapeError(
        `ConditionalResidualBlock: context ${formatShape(context.shape)} for data ` +
          `${formatShape(x.shape)}; expected the same batch size and ${contextSize} numbers each.`,
      );
    }
    if (x.rank !== this.#size.length + 2 || this.#size.some((s, i) => s !== x.shape[i + 2])) {
      throw new ShapeError(
        `ConditionalResidualBlock: got ${formatShape(x.shape)}; expected spatial sizes ` +
          `${formatShape(this.#size)}.`,
      );
    }
    return context;
  }
}
