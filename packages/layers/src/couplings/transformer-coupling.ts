/**
 * A coupling by any transformer: affine, additive, a spline (Durkan et al., "Neural spline flows", 2019).
 * Mathematics: docs/math/couplings/transformer-coupling.md
 */
import {
  add,
  type RandomStream,
  requireOneOf,
  type Shape,
  type Tensor,
  zerosLike,
} from '@invnet/tensor';
import { ChannelParts, type ChannelSplit } from '../combinators/channel-parts.ts';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireModuleOptions } from '../core/checks.ts';
import { type Conditioner, evaluate } from '../core/conditioner.ts';
import type { Saved } from '../core/saved.ts';
import type { Pair } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';
import {
  requireParametersOf,
  requireTransformer,
  type Transformer,
} from '../transformers/transformer.ts';
import { Construction } from '../tree/construction.ts';

/** Options of `TransformerCoupling`. */
export interface TransformerCouplingOptions extends ConditionerDefaults {
  /** At least 2. */
  readonly channels: number;
  readonly transformer: Transformer;
  /** The two parts of the channels. Default: ⌊channels/2⌋ and the others. */
  readonly split?: ChannelSplit;
  /** Which part is moved; the other one conditions it. Default: `second`. */
  readonly moves?: 'first' | 'second';
  /**
   * Maps the channels of the part that stays (and the context) to `transformer.size` for each that is moved, or
   * a function that makes it. Default: see `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'transformer', 'split', 'moves', 'conditioner', 'contextChannels', 'hidden'],
  'ndims',
];

/**
 * y₁ = x₁, y₂ = f(x₂; p) with p = g(x₁, context); logdet = Σ log ∂f/∂x₂.
 *
 * `backward` evaluates the conditioner g once: for the inverse and the gradients together.
 *
 * @example
 * const transformer = new RationalQuadraticSpline({ bins: 8, bound: 4 });
 * const coupling = new TransformerCoupling({ channels: 4, transformer, hidden: 32 });
 * const { y, logdet } = coupling.forward(x); // x [N, 4, H, W]
 */
export class TransformerCoupling extends Bijection {
  static readonly type: string = 'TransformerCoupling';
  readonly channels: number;
  readonly moves: 'first' | 'second';
  readonly transformer: Transformer;
  readonly conditioner: Conditioner;
  readonly #parts: ChannelParts;

  /** @throws ValueError for fewer than 2 channels, parts that cannot be, or what is no transformer or conditioner. */
  constructor(options: TransformerCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('TransformerCoupling', options, optionNames);
    const { channels, transformer, conditioner, moves = 'second', ...sizes } = options;
    const { split, ...conditionerSizes } = sizes;
    this.#parts = new ChannelParts('TransformerCoupling', channels, split);
    requireOneOf('TransformerCoupling', 'moves', moves, ['first', 'second']);
    const [first, second] = this.#parts.lengths;
    this.channels = channels;
    this.moves = moves;
    this.transformer = requireTransformer('TransformerCoupling', 'transformer', transformer);
    const [inChannels, moved] = moves === 'second' ? [first, second] : [second, first];
    const { contextChannels = 0, ndims = 2, ...defaults } = conditionerSizes;
    const outChannels = this.transformer.size * moved;
    const shape = { inChannels, outChannels, ndims, contextChannels };
    this.conditioner = makeConditioner('TransformerCoupling', conditioner, shape, defaults);
    building.complete();
  }

  /** The channels of both parts, or the list of those of the first. */
  get split(): ChannelSplit {
    return this.#parts.split;
  }

  get options() {
    const { channels, split, moves, transformer, conditioner } = this;
    return { channels, split, moves, transformer, conditioner };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const [x1, x2] = this.#parted(x);
    const p = this.#fitting(evaluate(this.conditioner, x1, context), x2);
    const { y, logdet } = this.transformer.apply(x2, p);
    p.dispose();
    return { y: this.#joined(x1, y), logdet };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const [y1, y2] = this.#parted(y);
    const p = this.#fitting(evaluate(this.conditioner, y1, context), y2);
    const { x, logdet } = this.transformer.invert(y2, p);
    p.dispose();
    return { x: this.#joined(y1, x), logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet, context }: BackwardOptions) {
    const [y1, y2] = this.#parted(y);
    const [dy1, dy2] = this.#parted(dy);
    const { y: p, saved } = this.conditioner.forward(y1, context);
    const { x, dx, dp } = this.transformer.applyBackward(y2, this.#fitting(p, y2), dy2, dlogdet);
    p.dispose();
    const { dx1, ...rest } = this.#backThroughConditioner(dp, saved, dy1);
    return { x: this.#joined(y1, x), dx: this.#joined(dx1, dx), ...rest };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet, context }: BackwardOptions) {
    const [x1, x2] = this.#parted(x);
    const [dx1, dx2] = this.#parted(dx);
    const { y: p, saved } = this.conditioner.forward(x1, context);
    const { y, dy, dp } = this.transformer.invertBackward(x2, this.#fitting(p, x2), dx2, dlogdet);
    p.dispose();
    const { dx1: dy1, ...rest } = this.#backThroughConditioner(dp, saved, dx1);
    return { y: this.#joined(x1, y), dy: this.#joined(dy1, dy), ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const [x1, x2] = this.#parted(x);
    const [dx1, dx2] = tangent.x ? this.#parted(tangent.x) : [];
    const { y: p, dy: dp } = this.conditioner.jvp(x1, { ...tangent, x: dx1 }, context);
    const made = this.transformer.applyTangent(x2, this.#fitting(p, x2), dx2, dp);
    const { y, dy, ...rest } = made;
    return { y: this.#joined(x1, y), dy: this.#joined(dx1 ?? zerosLike(x1), dy), ...rest };
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const [y1, y2] = this.#parted(y);
    const [dy1, dy2] = tangent.x ? this.#parted(tangent.x) : [];
    const { y: p, dy: dp } = this.conditioner.jvp(y1, { ...tangent, x: dy1 }, context);
    const made = this.transformer.invertTangent(y2, this.#fitting(p, y2), dy2, dp);
    const { x, dx, ...rest } = made;
    return { x: this.#joined(y1, x), dx: this.#joined(dy1 ?? zerosLike(y1), dx), ...rest };
  }

  protected override applyShape(x: Shape): Shape {
    const [first, second] = this.#parts.partShape(x);
    const [still, moved] = this.moves === 'second' ? [first, second] : [second, first];
    const p = this.conditioner.outputShape(still);
    if (p) requireParametersOf('TransformerCoupling', this.transformer, p, moved);
    return x;
  }

  /** The part that stays, and the one that is moved. */
  #parted(x: Tensor): Pair {
    const [first, second] = this.#parts.part(x);
    return this.moves === 'second' ? [first, second] : [second, first];
  }

  #joined(still: Tensor, moved: Tensor): Tensor {
    return this.#parts.join(this.moves === 'second' ? [still, moved] : [moved, still]);
  }

  /** For conditioners that do not say the shape of their result before. */
  #fitting(p: Tensor, moved: Tensor): Tensor {
    requireParametersOf('TransformerCoupling', this.transformer, p.shape, moved.shape);
    return p;
  }

  #backThroughConditioner(dp: Tensor, saved: Saved, d1: Tensor) {
    const { dx, ...rest } = this.conditioner.backward(dp, saved);
    saved.dispose();
    return { dx1: add(d1, dx), ...rest };
  }
}
