/**
 * Attention by way of a few learned vectors (Lee et al., "Set transformer", 2019: ISAB), whose cost grows with
 * the number of positions and not with its square. Mathematics: docs/math/conditioners/attention.md
 */
import { add, RandomStream, type Shape, sum, type Tensor, ValueError, zeros } from '@invnet/tensor';
import { requireModuleOptions, requireSizes } from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { attentionBlock } from './attention-block.ts';
import type { Chain } from './chain.ts';

/** Options of `InducedAttention`. */
export interface InducedAttentionOptions {
  /** Channels of x and of the result, divisible by `heads`. */
  readonly channels: number;
  /** Channels of the context whose positions are attended to. */
  readonly contextChannels: number;
  /** How many learned vectors. */
  readonly points: number;
  /** Default: 1. */
  readonly heads?: number;
  /** Is there another channel behind those of the context, a mask as of `MultiHeadAttention`? Default: false. */
  readonly masked?: boolean;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

/** What the two blocks left. */
export interface SavedInduced {
  readonly gathered: Saved<readonly Saved[]>;
  readonly spread: Saved<readonly Saved[]>;
}

/**
 * y = B(x; A(I; z)) with two `attentionBlock`s: learned vectors I see the positions of the context z [N, C′, M],
 * and the positions of x [N, C, P] see what became of them.
 *
 * @example
 * const g = new InducedAttention({ channels: 8, contextChannels: 8, points: 4, heads: 2 });
 * g.forward(x, x); // x [N, 8, M]
 */
export class InducedAttention extends Conditioner<SavedInduced> {
  static readonly type: string = 'InducedAttention';
  readonly options: Required<Omit<InducedAttentionOptions, 'random'>>;
  readonly points: Parameter;
  readonly gather: Chain;
  readonly spread: Chain;

  /** @throws ValueError for sizes that are not whole and positive, or heads that do not divide the channels. */
  constructor(options: InducedAttentionOptions) {
    super();
    using building = new Construction();
    const names = ['channels', 'contextChannels', 'points', 'heads', 'masked'];
    requireModuleOptions('InducedAttention', options, names);
    const { channels, contextChannels, points, heads = 1, masked = false } = options;
    const { random = new RandomStream(0) } = options;
    requireSizes('InducedAttention', { channels, contextChannels, points, heads });
    this.options = { channels, contextChannels, points, heads, masked };
    const block = { channels, heads, ndims: 1, random };
    this.points = new Parameter('points', random.normal([channels, points]));
    this.gather = attentionBlock({ ...block, contextChannels, masked });
    this.spread = attentionBlock({ ...block, contextChannels: channels });
    building.complete();
  }

  /** @throws ValueError without a context. */
  protected apply(x: Tensor, context?: Tensor) {
    const points = repeated(this.points.data, x);
    const { y: gist, saved: gathered } = this.gather.forward(points, required(context));
    const { y, saved: spread } = this.spread.forward(x, gist);
    return { y, saved: { gathered, spread } };
  }

  protected applyBackward(dy: Tensor, { gathered, spread }: SavedInduced) {
    const { dx, dcontext: dgist } = this.spread.backward(dy, spread);
    const { dx: dpoints, dcontext } = this.gather.backward(dgist!, gathered);
    if (!this.points.frozen) this.points.takeGrad(sum(dpoints, { axes: [0] }));
    return { dx, dcontext: dcontext! };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { parameters } = tangent;
    const dpoints = parameters?.get(this.points);
    const direction = {
      x: dpoints && repeated(dpoints, x),
      context: tangent.context,
      parameters,
    };
    const points = repeated(this.points.data, x);
    const { y: gist, dy } = this.gather.jvp(points, direction, required(context));
    return this.spread.jvp(x, { x: tangent.x, context: dy, parameters }, gist);
  }

  protected applyShape(x: Shape): Shape | undefined {
    return this.spread.outputShape(x);
  }
}

/** Learned vectors [C, k] for each sample of x, [N, C, k]. */
export function repeated(vectors: Tensor, x: Tensor): Tensor {
  const each = vectors.reshape([1, ...vectors.shape]);
  return add(zeros([x.shape[0]!, ...vectors.shape], vectors), each);
}

function required(context: Tensor | undefined): Tensor {
  if (context) return context;
  throw new ValueError('InducedAttention: expected a context, got none.');
}
