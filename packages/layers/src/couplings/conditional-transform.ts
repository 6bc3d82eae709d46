/** Transformers whose parameters a context gives. Mathematics: docs/math/couplings/conditional-transform.md */
import {
  add,
  type RandomStream,
  type Shape,
  sum,
  type Tensor,
  ValueError,
  zeros,
} from '@invnet/tensor';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import { requireChannels, requireModuleOptions, requireWhole } from '../core/checks.ts';
import { Conditioner, evaluate } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import {
  requireParametersOf,
  requireTransformer,
  type Transformer,
} from '../transformers/transformer.ts';
import { Construction } from '../tree/construction.ts';

/** Options of `ConditionalTransform`. */
export interface ConditionalTransformOptions extends ConditionerDefaults {
  /** One is enough. */
  readonly channels: number;
  readonly transformer: Transformer;
  /** Channels of the context, where the default conditioner is to be made. */
  readonly contextChannels?: number;
  /**
   * Maps the context to `transformer.size` channels for each of x, at x's resolution or as vectors, which hold at all
   * positions; or a function that makes it. Default: see `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'transformer', 'contextChannels', 'conditioner', 'hidden', 'ndims'],
];

/**
 * y = f(x; p) number by number, with p = g(context); logdet = Σ log ∂f/∂x. With an `AffineTransformer` it is
 * the conditional affine transform.
 *
 * Its Jacobian is diagonal, so a flow of these alone models channels that are independent given the context.
 *
 * @example
 * const transformer = new RationalQuadraticSpline({ bins: 8, bound: 4 });
 * const layer = new ConditionalTransform({ channels: 1, transformer, contextChannels: 3, ndims: 0 });
 * const { y, logdet } = layer.forward(x, context); // x [N, 1], context [N, 3]
 */
export class ConditionalTransform extends Bijection {
  static readonly type: string = 'ConditionalTransform';
  readonly channels: number;
  readonly transformer: Transformer;
  readonly conditioner: Conditioner;

  /** @throws ValueError for channels below 1, or neither a conditioner nor the channels of a context. */
  constructor(options: ConditionalTransformOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('ConditionalTransform', options, optionNames);
    const { channels, transformer, conditioner, contextChannels, ndims = 2, ...defaults } = options;
    requireWhole('ConditionalTransform', 'channels', channels, 1);
    this.channels = channels;
    this.transformer = requireTransformer('ConditionalTransform', 'transformer', transformer);
    const outChannels = this.transformer.size * channels;
    // The context is what the conditioner sees as its x.
    const shape = { inChannels: contextChannels ?? 0, outChannels, ndims, contextChannels: 0 };
    if (!(conditioner instanceof Conditioner)) {
      if (contextChannels === undefined) {
        throw new ValueError(
          'ConditionalTransform: expected a conditioner, or contextChannels to make one; got neither.',
        );
      }
      requireWhole('ConditionalTransform', 'contextChannels', contextChannels, 1);
    }
    this.conditioner = makeConditioner('ConditionalTransform', conditioner, shape, defaults);
    building.complete();
  }

  get options() {
    const { channels, transformer, conditioner } = this;
    return { channels, transformer, conditioner };
  }

  override get usesContext(): boolean {
    return true;
  }

  protected apply(x: Tensor, context?: Tensor) {
    const p = evaluate(this.conditioner, given(context));
    return this.transformer.apply(x, this.#fitting(p, x));
  }

  protected invert(y: Tensor, context?: Tensor) {
    const p = evaluate(this.conditioner, given(context));
    return this.transformer.invert(y, this.#fitting(p, y));
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet, context }: BackwardOptions) {
    const { y: p, saved } = this.conditioner.forward(given(context));
    const made = this.transformer.applyBackward(y, this.#fitting(p, y), dy, dlogdet);
    const { dp, ...rest } = made;
    const pulled = gathered(dp, p);
    p.dispose();
    return { ...rest, dcontext: this.conditioner.backward(pulled, saved).dx };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet, context }: BackwardOptions) {
    const { y: p, saved } = this.conditioner.forward(given(context));
    const made = this.transformer.invertBackward(x, this.#fitting(p, x), dx, dlogdet);
    const { dp, ...rest } = made;
    const pulled = gathered(dp, p);
    p.dispose();
    return { ...rest, dcontext: this.conditioner.backward(pulled, saved).dx };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { y: p, dy: dp } = this.#parameters(tangent, context);
    const [over, dover] = [this.#fitting(p, x), this.#fitting(dp, x)];
    return this.transformer.applyTangent(x, over, tangent.x, dover);
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const { y: p, dy: dp } = this.#parameters(tangent, context);
    const [over, dover] = [this.#fitting(p, y), this.#fitting(dp, y)];
    return this.transformer.invertTangent(y, over, tangent.x, dover);
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('ConditionalTransform', x, this.channels);
  }

  #parameters({ parameters, context: x }: Tangent, context: Tensor | undefined) {
    return this.conditioner.jvp(given(context), { x, parameters });
  }

  /** What the context gives depends on its shape alone, which is known when it comes. */
  #fitting(p: Tensor, x: Tensor): Tensor {
    const over = overPositions(p, x);
    requireParametersOf('ConditionalTransform', this.transformer, over.shape, x.shape);
    return over;
  }
}

/** Vectors at all positions of x; images as they are. */
function overPositions(p: Tensor, x: Tensor): Tensor {
  if (p.rank !== 2 || x.rank === 2) return p;
  const space = x.shape.slice(2);
  const vectors = p.reshape([...p.shape, ...space.map(() => 1)]);
  return add(zeros([...p.shape, ...space], p), vectors);
}

/** The adjoint of `overPositions`. */
function gathered(dp: Tensor, p: Tensor): Tensor {
  if (dp.rank === p.rank) return dp;
  return sum(dp.reshape([...p.shape, -1]), { axes: [2] });
}

/** @throws ValueError without a context. */
function given(context: Tensor | undefined): Tensor {
  if (context) return context;
  throw new ValueError('ConditionalTransform: expected a context, got none.');
}
