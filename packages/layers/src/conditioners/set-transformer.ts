/**
 * A network of sets whose elements see each other (Lee et al., "Set transformer", 2019), as a conditioner or
 * a summary network. Mathematics: docs/math/conditioners/sets.md
 */
import {
  add,
  concat,
  log,
  RandomStream,
  requireBoolean,
  type Shape,
  slice,
  sum,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import {
  requireModuleOptions,
  requireRepeats,
  requireSizes,
  requireWhole,
} from '../core/checks.ts';
import { Conditioner } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Tangent } from '../core/tangent.ts';
import { Construction } from '../tree/construction.ts';
import { Parameter } from '../tree/parameter.ts';
import { attentionBlock } from './attention-block.ts';
import type { Chain } from './chain.ts';
import { Conv } from './conv.ts';
import { Dense } from './dense.ts';
import { InducedAttention, repeated } from './induced-attention.ts';
import { asSets, elementsOf, maskOf, requireSets, sizesOf } from './sets.ts';

/** Options of `SetTransformer`. */
export interface SetTransformerOptions {
  /** Numbers that an element has. */
  readonly features: number;
  /** Channels of the elements inside, divisible by `heads`. Default: 32. */
  readonly hidden?: number;
  readonly outChannels: number;
  /** Heads of each attention. Default: 4. */
  readonly heads?: number;
  /** How often the elements see each other. Default: 2. */
  readonly blocks?: number;
  /** How many learned vectors gather the set in the end. Default: 1. */
  readonly seeds?: number;
  /**
   * Lets elements see each other by way of so many learned vectors, see `InducedAttention`. Default: 0, each
   * sees all.
   */
  readonly inducing?: number;
  /** Has each element a last feature more, which is 1 where it is there, as of `padSets`? Default: false. */
  readonly masked?: boolean;
  /** Draws the weights. Default: seed 0. */
  readonly random?: RandomStream;
}

const names = [
  'features',
  'hidden',
  'outChannels',
  'heads',
  'blocks',
  'seeds',
  'inducing',
  'masked',
];

/** What its backward needs. */
interface SavedSetTransformer {
  readonly embedded: Saved<Tensor>;
  readonly blocks: readonly Saved[];
  readonly pooled: Saved<readonly Saved[]>;
  readonly head: Saved<Tensor>;
}

/**
 * Sets [N, M, features] to vectors [N, outChannels], whatever the order of the elements: a linear map of
 * each, blocks in which all see all (`attentionBlock`), a block in which learned seeds see all elements, and a
 * linear map of what they saw and of log m, for m elements.
 *
 * Sets of different sizes come in one batch by `padSets` and `masked`. Time and memory grow with M², and with
 * M by `inducing`.
 *
 * @example
 * new SummarizedNetwork({
 *   network: new ConditionalGlow({ channels: 2, contextChannels: 8, ndims: 0, scales: 1 }),
 *   summary: new SetTransformer({ features: 3, outChannels: 8 }),
 * });
 */
export class SetTransformer extends Conditioner<SavedSetTransformer> {
  static readonly type: string = 'SetTransformer';
  readonly options: Required<Omit<SetTransformerOptions, 'random'>>;
  readonly embedding: Conv;
  readonly blocks: readonly (Chain | InducedAttention)[];
  readonly seeds: Parameter;
  readonly pooling: Chain;
  readonly head: Dense;

  /** @throws ValueError for sizes that are not whole and positive, or heads that do not divide `hidden`. */
  constructor(options: SetTransformerOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('SetTransformer', options, names);
    const { features, hidden = 32, outChannels, heads = 4, blocks = 2, seeds = 1 } = options;
    const { inducing = 0, masked = false, random = new RandomStream(0) } = options;
    requireSizes('SetTransformer', { features, hidden, outChannels, heads, seeds });
    requireRepeats('SetTransformer', 'blocks', blocks);
    requireWhole('SetTransformer', 'inducing', inducing, 0);
    requireBoolean('SetTransformer', 'masked', masked);
    if (hidden % heads !== 0) {
      throw new ValueError(
        `SetTransformer: hidden is ${hidden} for ${heads} heads; expected a multiple of the heads.`,
      );
    }
    this.options = { features, hidden, outChannels, heads, blocks, seeds, inducing, masked };
    const block = { channels: hidden, heads, contextChannels: hidden, masked, random };
    const attention = () => attentionBlock({ ...block, ndims: 1 });
    const pointwise = { ndims: 1, kernel: 1, random };
    this.embedding = new Conv({ ...pointwise, inChannels: features, outChannels: hidden });
    this.blocks = Array.from({ length: blocks }, () =>
      inducing > 0 ? new InducedAttention({ ...block, points: inducing }) : attention(),
    );
    this.seeds = new Parameter('seeds', random.normal([hidden, seeds]));
    this.pooling = attention();
    this.head = new Dense({ inChannels: hidden * seeds + 1, outChannels, random });
    building.complete();
  }

  /** What the blocks see as contexts are their own elements. */
  override get usesContext(): boolean {
    return false;
  }

  /** @throws ValueError for a set that its mask leaves empty. */
  protected apply(x: Tensor) {
    const { elements, mask, sizes } = this.#parts(x);
    let { y: h, saved: embedded } = this.embedding.forward(elements);
    const blocks = this.blocks.map((block) => {
      const { y, saved } = block.forward(h, seen(h, mask));
      h = y;
      return saved;
    });
    const { y: gathered, saved: pooled } = this.pooling.forward(
      repeated(this.seeds.data, x),
      seen(h, mask),
    );
    const { y, saved: head } = this.head.forward(concat([this.#flat(gathered), log(sizes)], 1));
    return { y, saved: { embedded, blocks, pooled, head } };
  }

  protected applyBackward(dy: Tensor, { embedded, blocks, pooled, head }: SavedSetTransformer) {
    const { hidden, seeds, masked } = this.options;
    const ofFlat = slice(this.head.backward(dy, head).dx, 1, 0, hidden * seeds);
    const back = this.pooling.backward(ofFlat.reshape([-1, hidden, seeds]), pooled);
    if (!this.seeds.frozen) this.seeds.takeGrad(sum(back.dx, { axes: [0] }));
    let dh = slice(back.dcontext!, 1, 0, hidden);
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block: Conditioner = this.blocks[i]!;
      const { dx, dcontext } = block.backward(dh, blocks[i]!);
      dh = add(dx, slice(dcontext!, 1, 0, hidden));
    }
    return { dx: asSets(this.embedding.backward(dh, embedded).dx, masked) };
  }

  protected applyTangent(x: Tensor, { x: dx, parameters }: Tangent) {
    const { elements, mask, sizes } = this.#parts(x);
    const de = dx && elementsOf(dx, this.options.features);
    const still = mask && zeros(mask.shape, mask);
    let { y: h, dy: dh } = this.embedding.jvp(elements, { x: de, parameters });
    for (const block of this.blocks) {
      const tangent = { x: dh, context: seen(dh, still), parameters };
      ({ y: h, dy: dh } = block.jvp(h, tangent, seen(h, mask)));
    }
    const ds = parameters?.get(this.seeds);
    const direction = {
      ...(ds && { x: repeated(ds, x) }),
      context: seen(dh, still),
      parameters,
    };
    const gathered = this.pooling.jvp(repeated(this.seeds.data, x), direction, seen(h, mask));
    const joined = concat([this.#flat(gathered.y), log(sizes)], 1);
    const djoined = concat([this.#flat(gathered.dy), zeros(sizes.shape, sizes)], 1);
    return this.head.jvp(joined, { x: djoined, parameters });
  }

  protected applyShape(x: Shape): Shape {
    const { features, masked, outChannels } = this.options;
    return [requireSets('SetTransformer', x, features, masked)[0]!, outChannels];
  }

  #parts(x: Tensor) {
    const { features, masked } = this.options;
    const mask = masked ? maskOf('SetTransformer', x) : undefined;
    return { elements: elementsOf(x, features), mask, sizes: sizesOf(x, mask) };
  }

  #flat(gathered: Tensor): Tensor {
    return gathered.reshape([gathered.shape[0]!, -1]);
  }
}

/** Elements as what is attended to, with their mask behind them. */
function seen(h: Tensor, mask: Tensor | undefined): Tensor {
  return mask ? concat([h, mask], 1) : h;
}
