/**
 * Attention between positions (Vaswani et al., "Attention is all you need", 2017), as a conditioner.
 * Mathematics: docs/math/conditioners/attention.md
 */
import {
  add,
  affine,
  concat,
  formatShape,
  RandomStream,
  requireBoolean,
  type Shape,
  ShapeError,
  slice,
  type Tensor,
  ValueError,
  zeros,
  zerosLike,
} from '@invnet/tensor';
import {
  requireChannels,
  requireModuleOptions,
  requireSizes,
  requireWhole,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import {
  attend,
  attendBack,
  attendTangent,
  attentionShares,
  type Projections,
} from './attention.ts';
import { ConvLayer } from './conv-layer.ts';
import { marked } from './sets.ts';

/** Options of `MultiHeadAttention`. */
export interface MultiHeadAttentionOptions {
  /** Channels of x and of the result, divisible by `heads`. */
  readonly channels: number;
  /** Default: 1. */
  readonly heads?: number;
  /** Channels of the context whose positions are attended to. Default: 0, x attends to itself. */
  readonly contextChannels?: number;
  /**
   * Is there another channel behind those of the context, which is 1 at positions that are there, and 0 at
   * others? Default: false.
   */
  readonly masked?: boolean;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** What its backward needs; x and the context as [N, C, P]. */
interface SavedAttention extends Projections {
  readonly x: Tensor;
  readonly z: Tensor;
  readonly shares: Tensor;
  readonly out: Tensor;
  readonly shape: Shape;
  readonly contextShape: Shape | undefined;
}

/**
 * y = W_o A + b_o with a softmax-weighted mean A of values W_v z + b_v for each head, by the products of
 * queries W_q x + b_q with keys W_k z + b_k. Channels are the features, and positions what attends: x [N, C, …]
 * to its own, or to those of the context z [N, C′, …], of any number.
 *
 * Weights are [out, in, 1] and start normal with variance 1/in. `residual` goes around it.
 *
 * @example
 * const g = chain(new Conv({ inChannels: 2, outChannels: 8 }),
 *   residual(new MultiHeadAttention({ channels: 8, heads: 2 })), new Conv({ inChannels: 8, outChannels: 4 }));
 */
export class MultiHeadAttention extends Conditioner<SavedAttention> {
  static readonly type: string = 'MultiHeadAttention';
  readonly options: Required<Omit<MultiHeadAttentionOptions, 'random'>>;
  readonly query: ConvLayer;
  readonly key: ConvLayer;
  readonly value: ConvLayer;
  readonly output: ConvLayer;

  /** @throws ValueError for channels that the heads do not divide, or a mask without a context. */
  constructor(options: MultiHeadAttentionOptions) {
    super();
    using building = new Construction();
    const op = 'MultiHeadAttention';
    requireModuleOptions(op, options, ['channels', 'heads', 'contextChannels', 'masked']);
    const { channels, heads = 1, contextChannels = 0, masked = false } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes(op, { channels, heads });
    requireWhole(op, 'contextChannels', contextChannels, 0);
    requireBoolean(op, 'masked', masked);
    if (channels % heads !== 0) {
      throw new ValueError(
        `${op}: ${channels} channels for ${heads} heads; expected a multiple of the heads.`,
      );
    }
    if (masked && contextChannels === 0) {
      throw new ValueError(`${op}: masked is true; expected a context, which has the mask.`);
    }
    this.options = { channels, heads, contextChannels, masked };
    const layer = (inChannels: number) =>
      new ConvLayer({
        ...{ inChannels, outChannels: channels, ndims: 1, kernel: 1 },
        gain: Math.SQRT1_2,
        random,
      });
    this.query = layer(channels);
    this.key = layer(contextChannels || channels);
    this.value = layer(contextChannels || channels);
    this.output = layer(channels);
    building.complete();
  }

  override get usesContext(): boolean {
    return this.options.contextChannels > 0;
  }

  protected apply(x: Tensor, context?: Tensor): { y: Tensor; saved: SavedAttention } {
    const flat = flattened(x);
    const { z, bias } = this.#attended(flat, context);
    const parts = this.#project(flat, z);
    const shares = attentionShares(parts, bias);
    const out = attend(shares, parts.v).reshape(flat.shape);
    const y = this.output.forward(out, 'none', []).reshape(x.shape);
    const contextShape = this.usesContext ? context!.shape : undefined;
    return { y, saved: { ...parts, x: flat, z, shares, out, shape: x.shape, contextShape } };
  }

  protected applyBackward(dy: Tensor, saved: SavedAttention) {
    const { x, z, shares, out, q, shape, contextShape } = saved;
    const dout = this.output.backward(out, flattened(dy)).reshape(q.shape);
    const d = attendBack(saved, shares, dout);
    const dx = this.query.backward(x, d.q.reshape(x.shape));
    const [n, , m] = z.shape;
    const joined = [n!, this.options.channels, m!];
    const dz = add(
      this.key.backward(z, d.k.reshape(joined)),
      this.value.backward(z, d.v.reshape(joined)),
    );
    if (!contextShape) return { dx: add(dx, dz).reshape(shape) };
    const whole = this.options.masked ? concat([dz, zeros([n!, 1, m!], dz)], 1) : dz;
    return { dx: dx.reshape(shape), dcontext: whole.reshape(contextShape) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const flat = flattened(x);
    const { z, bias } = this.#attended(flat, context);
    const parts = this.#project(flat, z);
    const shares = attentionShares(parts, bias);
    const dx = tangent.x ? flattened(tangent.x) : zerosLike(flat);
    const dcontext = tangent.context && flattened(tangent.context);
    const dz = this.usesContext ? dcontext && slice(dcontext, 1, 0, z.shape[1]!) : dx;
    const along = (layer: ConvLayer, input: Tensor, result: Tensor, d: Tensor | undefined) => {
      const [n, , positions] = input.shape;
      const output = result.reshape([n!, this.options.channels, positions!]);
      return layer.tangent(input, output, d, tangent).reshape(result.shape);
    };
    const directions = {
      q: along(this.query, flat, parts.q, dx),
      k: along(this.key, z, parts.k, dz),
      v: along(this.value, z, parts.v, dz),
    };
    const out = attend(shares, parts.v).reshape(flat.shape);
    const dout = attendTangent(parts, shares, directions).reshape(flat.shape);
    const y = this.output.forward(out, 'none', []);
    const dy = this.output.tangent(out, y, dout, tangent);
    return { y: y.reshape(x.shape), dy: dy.reshape(x.shape) };
  }

  protected applyShape(x: Shape): Shape {
    requireChannels('MultiHeadAttention', x, this.options.channels);
    if (x.length > 2) return x;
    throw new ShapeError(
      `MultiHeadAttention: got ${formatShape(x)}; expected positions to attend to, [N, C, …].`,
    );
  }

  /** What is attended to, [N, C, M], and what its mask adds to the scores. */
  #attended(x: Tensor, context: Tensor | undefined): { z: Tensor; bias?: Tensor } {
    const { contextChannels, masked, heads } = this.options;
    if (contextChannels === 0) return { z: x };
    if (!context) throw new ValueError('MultiHeadAttention: expected a context, got none.');
    requireChannels(
      'MultiHeadAttention, context',
      context.shape,
      contextChannels + (masked ? 1 : 0),
    );
    const all = flattened(context);
    if (!masked) return { z: all };
    const [n, , m] = all.shape;
    // Far below every score, so that its exponential is zero.
    const bias = affine(marked(slice(all, 1, contextChannels, 1)), 1e9, -1e9);
    const each = concat(new Array<Tensor>(heads).fill(bias), 1).reshape([n! * heads, 1, m!]);
    return { z: slice(all, 1, 0, contextChannels), bias: each };
  }

  #project(x: Tensor, z: Tensor): Projections {
    const { channels, heads } = this.options;
    const project = (layer: ConvLayer, t: Tensor) => {
      const [n, , positions] = t.shape;
      const parts = [n! * heads, channels / heads, positions!];
      return layer.forward(t, 'none', []).reshape(parts);
    };
    return { q: project(this.query, x), k: project(this.key, z), v: project(this.value, z) };
  }
}

/** [N, C, P] */
function flattened(x: Tensor): Tensor {
  return x.reshape([x.shape[0]!, x.shape[1]!, -1]);
}
