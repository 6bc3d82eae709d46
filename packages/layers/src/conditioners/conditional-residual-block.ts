/**
 * A residual block that sees a context of any size through a dense layer.
 * Mathematics: docs/math/conditioners/conditional-residual-block.md
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
import {
  requireChannels,
  requireModuleOptions,
  requireSizes,
  requireSpatialSizes,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import {
  ResidualBlock,
  type ResidualBlockOptions,
  residualBlockOptions,
} from './residual-block.ts';

/** Options of `ConditionalResidualBlock`; those of its `ResidualBlock` among them. */
export interface ConditionalResidualBlockOptions extends Omit<ResidualBlockOptions, 'ndims'> {
  /** Numbers per sample of the context, whatever its shape. */
  readonly contextSize: number;
  /** Spatial sizes of x. */
  readonly size: Shape;
  /** Channels of the image that the context becomes. Default: `inChannels`. */
  readonly contextChannels?: number;
}

const names = [
  ...residualBlockOptions.filter((name) => name !== 'ndims'),
  'contextSize',
  'size',
  'contextChannels',
];

/** The context, the image that it became, the joined input, and what the block saved for it. */
interface SavedConditional {
  readonly context: Tensor;
  readonly image: Tensor;
  readonly joined: ReturnType<ResidualBlock['forward']>['saved'];
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
export class ConditionalResidualBlock extends Conditioner<SavedConditional> {
  static readonly type: string = 'ConditionalResidualBlock';
  readonly options: Required<Omit<ConditionalResidualBlockOptions, 'random' | 'activation'>> &
    Pick<ConditionalResidualBlockOptions, 'activation'>;
  readonly w0: Parameter;
  readonly b0: Parameter;
  readonly inner: ResidualBlock;

  /** @throws ValueError for sizes that are not whole and positive. */
  constructor(options: ConditionalResidualBlockOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ConditionalResidualBlock', options, names);
    const { contextSize, size, random = new RandomStream(0), ...block } = options;
    const { inChannels } = block;
    const { contextChannels = inChannels, ...rest } = block;
    requireSizes('ConditionalResidualBlock', { inChannels, contextSize, contextChannels });
    requireSpatialSizes('ConditionalResidualBlock', 'size', size);
    const numbers = contextChannels * sizeOf(size);
    const weights = random.normal([numbers, contextSize], Math.sqrt(2 / contextSize));
    this.w0 = new Parameter('w0', weights);
    this.b0 = new Parameter('b0', zeros([numbers]));
    this.inner = new ResidualBlock({
      ...rest,
      inChannels: inChannels + contextChannels,
      ndims: size.length,
      random,
    });
    const { ndims: _, ...filled } = this.inner.options;
    this.options = { ...filled, inChannels, contextSize, size, contextChannels };
    building.complete();
  }

  override get usesContext(): boolean {
    return true;
  }

  /** @throws ValueError without a context, ShapeError for one of another size. */
  protected apply(x: Tensor, context?: Tensor): { y: Tensor; saved: SavedConditional } {
    const d = this.#context(x, context);
    const image = this.#image(d);
    const { y, saved: joined } = this.inner.forward(concat([x, image], 1));
    return { y, saved: { context: d, image, joined } };
  }

  protected applyBackward(dy: Tensor, { context, image, joined }: SavedConditional) {
    const { w0, b0 } = this;
    const { inChannels, contextChannels } = this.options;
    const { dx: both } = this.inner.backward(dy, joined);
    const [dx, dimage] = split(both, 1, [inChannels, contextChannels]);
    const n = context.shape[0]!;
    const da = reluGrad(image, dimage!).reshape([n, -1]);
    const flat = context.reshape([n, -1]);
    if (!w0.frozen) w0.takeGrad(matmul(da, flat, { transposeA: true }));
    if (!b0.frozen) b0.takeGrad(channelSums(da));
    return { dx: dx!, dcontext: matmul(da, w0.data).reshape(context.shape) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const d = this.#context(x, context);
    const image = this.#image(d);
    const dw = tangent.parameters?.get(this.w0);
    const db = tangent.parameters?.get(this.b0);
    const da = sumOfTerms(
      image,
      tangent.context && this.#dense(tangent.context, this.w0.data),
      dw && this.#dense(d, dw),
      db && add(zerosLike(image), db.reshape([1, ...image.shape.slice(1)])),
    );
    const direction = concat([tangent.x ?? zerosLike(x), reluGrad(image, da)], 1);
    const { parameters } = tangent;
    return this.inner.jvp(concat([x, image], 1), { x: direction, parameters });
  }

  protected applyShape(x: Shape): Shape | undefined {
    const { inChannels, contextChannels, size } = this.options;
    if (x.length !== size.length + 2 || size.some((s, i) => s !== x[i + 2])) {
      throw new ShapeError(
        `ConditionalResidualBlock: got ${formatShape(x)}; expected spatial sizes ` +
          `${formatShape(size)}.`,
      );
    }
    requireChannels('ConditionalResidualBlock', x, inChannels);
    return this.inner.outputShape([x[0]!, inChannels + contextChannels, ...size]);
  }

  #image(d: Tensor): Tensor {
    return tidy(() => relu(this.#dense(d, this.w0.data, this.b0.data)));
  }

  /** W d + b as an image. */
  #dense(d: Tensor, w: Tensor, b?: Tensor): Tensor {
    const n = d.shape[0]!;
    const flat = matmul(d.reshape([n, -1]), w, { transposeB: true });
    const { contextChannels, size } = this.options;
    return (b ? add(flat, b) : flat).reshape([n, contextChannels, ...size]);
  }

  #context(x: Tensor, context: Tensor | undefined): Tensor {
    if (!context) throw new ValueError('ConditionalResidualBlock: expected a context, got none.');
    const [n, ...sample] = context.shape;
    const { contextSize } = this.options;
    if (n === x.shape[0] && sizeOf(sample) === contextSize) return context;
    throw new ShapeError(
      `ConditionalResidualBlock: context ${formatShape(context.shape)} for data ` +
        `${formatShape(x.shape)}; expected the same batch size and ${contextSize} numbers each.`,
    );
  }
}
