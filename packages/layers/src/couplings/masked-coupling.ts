/**
 * Couplings between numbers at any place of a sample: RealNVP's checkerboards and other masks (Dinh et al.,
 * "Density estimation using Real NVP", 2017, section 3.4).
 * Mathematics: docs/math/couplings/masked-coupling.md
 *
 * Left out: parts of the channels alone, which `TransformerCoupling` has by its `split`; its conditioner sees
 * nothing but the part that stays.
 */
import {
  add,
  affine,
  concat,
  mul,
  type RandomStream,
  requireBoolean,
  type Shape,
  sub,
  type Tensor,
  tensor,
  zeros,
} from '@invnet/tensor';
import { type ConditionerFactory, makeConditioner } from '../conditioners/conditioner-factory.ts';
import type { ConditionerDefaults } from '../conditioners/default-conditioner.ts';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireDimensions,
  requireModuleOptions,
  requireWhole,
} from '../core/checks.ts';
import { type Conditioner, evaluate } from '../core/conditioner.ts';
import type { Tangent } from '../core/tangent.ts';
import { AffineTransformer } from '../transformers/affine-transformer.ts';
import {
  requireParametersOf,
  requirePointwise,
  type Transformer,
} from '../transformers/transformer.ts';
import { Construction } from '../tree/construction.ts';
import { type Mask, type MaskRule, maskRule } from './mask.ts';

/** Options of `MaskedCoupling`. */
export interface MaskedCouplingOptions extends ConditionerDefaults {
  /** One is enough. */
  readonly channels: number;
  /** Which numbers of a sample stay and condition the others. Default: `checkerboard`. */
  readonly mask?: Mask;
  /** Do those move that the mask says stay, and the others stay? Default: false. */
  readonly inverted?: boolean;
  /** What is done to the numbers that move, one by one. Default: `new AffineTransformer()`. */
  readonly transformer?: Transformer;
  /**
   * Maps x, with zeros where it moves, to `transformer.size` channels for each channel, at x's resolution.
   * Default: see `defaultConditioner`.
   */
  readonly conditioner?: Conditioner | ConditionerFactory;
  /** Draws the default conditioner's weights. */
  readonly random?: RandomStream;
}

const optionNames = [
  ...['channels', 'mask', 'inverted', 'transformer', 'conditioner', 'contextChannels', 'hidden'],
  'ndims',
];

/**
 * y = m ⊙ x + (1 − m) ⊙ f(x; p) with p = g(m ⊙ x, context), for a mask m of zeros and ones; logdet sums over
 * what is moved.
 *
 * `backward` evaluates the conditioner g once: for the inverse and the gradients together.
 *
 * @example
 * const sizes = { channels: 1, hidden: 32 };
 * const step = compose(new MaskedCoupling(sizes), new MaskedCoupling({ ...sizes, inverted: true }));
 * const { y, logdet } = step.forward(x); // x [N, 1, H, W]
 */
export class MaskedCoupling extends Bijection {
  static readonly type: string = 'MaskedCoupling';
  readonly channels: number;
  readonly inverted: boolean;
  readonly transformer: Transformer;
  readonly conditioner: Conditioner;
  readonly #mask: MaskRule;

  /**
   * @throws ValueError for a mask that leaves nothing to condition on or nothing to move, or a transformer that
   * moves several numbers together.
   */
  constructor(options: MaskedCouplingOptions) {
    super();
    using building = new Construction();
    requireModuleOptions('MaskedCoupling', options, optionNames);
    const { channels, mask = 'checkerboard', inverted = false, conditioner, ...others } = options;
    const { transformer = new AffineTransformer(), ...sizes } = others;
    const { contextChannels = 0, ndims = 2, ...defaults } = sizes;
    requireWhole('MaskedCoupling', 'channels', channels, 1);
    requireBoolean('MaskedCoupling', 'inverted', inverted);
    requireWhole('MaskedCoupling', 'contextChannels', contextChannels, 0);
    requireDimensions('MaskedCoupling', ndims, 0);
    this.channels = channels;
    this.#mask = maskRule('MaskedCoupling', mask, channels);
    this.inverted = inverted;
    this.transformer = requirePointwise('MaskedCoupling', 'transformer', transformer);
    const outChannels = this.transformer.size * channels;
    const shape = { inChannels: channels, outChannels, contextChannels, ndims };
    this.conditioner = makeConditioner('MaskedCoupling', conditioner, shape, defaults);
    building.complete();
  }

  get options() {
    const { channels, inverted, transformer, conditioner } = this;
    return { channels, mask: this.#mask.mask, inverted, transformer, conditioner };
  }

  protected apply(x: Tensor, context?: Tensor) {
    const m = this.#masks(x);
    const still = mul(x, m.stays);
    const p = this.#parameters(evaluate(this.conditioner, still, context), x, m);
    const { y, logdet } = this.transformer.apply(mul(x, m.moves), p);
    return { y: add(still, mul(y, m.moves)), logdet: sub(logdet, this.#ofStill(x, m, 'apply')) };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const m = this.#masks(y);
    const still = mul(y, m.stays);
    const p = this.#parameters(evaluate(this.conditioner, still, context), y, m);
    const { x, logdet } = this.transformer.invert(mul(y, m.moves), p);
    return { x: add(still, mul(x, m.moves)), logdet: sub(logdet, this.#ofStill(y, m, 'invert')) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { dlogdet, context }: BackwardOptions) {
    const m = this.#masks(y);
    const still = mul(y, m.stays);
    const { y: given, saved } = this.conditioner.forward(still, context);
    const p = this.#parameters(given, y, m);
    const made = this.transformer.applyBackward(mul(y, m.moves), p, mul(dy, m.moves), dlogdet);
    p.dispose();
    const { dx: dstill, ...rest } = this.conditioner.backward(mul(made.dp, m.parameters), saved);
    saved.dispose();
    return {
      x: add(still, mul(made.x, m.moves)),
      dx: add(mul(add(dy, dstill), m.stays), mul(made.dx, m.moves)),
      ...rest,
    };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { dlogdet, context }: BackwardOptions) {
    const m = this.#masks(x);
    const still = mul(x, m.stays);
    const { y: given, saved } = this.conditioner.forward(still, context);
    const p = this.#parameters(given, x, m);
    const made = this.transformer.invertBackward(mul(x, m.moves), p, mul(dx, m.moves), dlogdet);
    p.dispose();
    const { dx: dstill, ...rest } = this.conditioner.backward(mul(made.dp, m.parameters), saved);
    saved.dispose();
    return {
      y: add(still, mul(made.y, m.moves)),
      dy: add(mul(add(dx, dstill), m.stays), mul(made.dy, m.moves)),
      ...rest,
    };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const m = this.#masks(x);
    const { still, p, dstill, dp } = this.#tangents(x, tangent, context, m);
    const dx = tangent.x && mul(tangent.x, m.moves);
    const made = this.transformer.applyTangent(mul(x, m.moves), p, dx, dp);
    const dy = mul(made.dy, m.moves);
    return {
      y: add(still, mul(made.y, m.moves)),
      dy: dstill ? add(dstill, dy) : dy,
      logdet: sub(made.logdet, this.#ofStill(x, m, 'apply')),
      dlogdet: made.dlogdet,
    };
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const m = this.#masks(y);
    const { still, p, dstill, dp } = this.#tangents(y, tangent, context, m);
    const dy = tangent.x && mul(tangent.x, m.moves);
    const made = this.transformer.invertTangent(mul(y, m.moves), p, dy, dp);
    const dx = mul(made.dx, m.moves);
    return {
      x: add(still, mul(made.x, m.moves)),
      dx: dstill ? add(dstill, dx) : dx,
      logdet: sub(made.logdet, this.#ofStill(y, m, 'invert')),
      dlogdet: made.dlogdet,
    };
  }

  protected override applyShape(x: Shape): Shape {
    requireChannels('MaskedCoupling', x, this.channels);
    this.#mask.of(x);
    const p = this.conditioner.outputShape(x);
    if (p) requireParametersOf('MaskedCoupling', this.transformer, p, x);
    return x;
  }

  #masks(x: Tensor): Masks {
    const { shape, stays: values, count } = this.#mask.of(x.shape);
    const given = tensor(values, shape, x);
    const other = affine(given, -1, 1);
    const [stays, moves] = this.inverted ? [other, given] : [given, other];
    const copies = new Array<Tensor>(shape[1] === 1 ? 1 : this.transformer.size).fill(moves);
    const still = this.inverted ? x.size / x.shape[0]! - count : count;
    return { stays, moves, parameters: concat(copies, 1), still };
  }

  /** What the conditioner gave, with zeros where numbers stay. */
  #parameters(given: Tensor, x: Tensor, { parameters }: Masks): Tensor {
    requireParametersOf('MaskedCoupling', this.transformer, given.shape, x.shape);
    const p = mul(given, parameters);
    given.dispose();
    return p;
  }

  #tangents(x: Tensor, tangent: Tangent, context: Tensor | undefined, m: Masks) {
    const still = mul(x, m.stays);
    const dstill = tangent.x && mul(tangent.x, m.stays);
    const { y: given, dy } = this.conditioner.jvp(still, { ...tangent, x: dstill }, context);
    return { still, p: this.#parameters(given, x, m), dstill, dp: mul(dy, m.parameters) };
  }

  /** What a log-determinant has from numbers that stay, which the transformer got as zeros with parameters 0. */
  #ofStill(x: Tensor, { still }: Masks, method: 'apply' | 'invert'): Tensor {
    const [one, p] = [zeros([1, 1], x), zeros([1, this.transformer.size], x)];
    return affine(this.transformer[method](one, p).logdet, still);
  }
}

/** Masks to broadcast over the samples, and how many numbers of a sample stay. */
interface Masks {
  readonly stays: Tensor;
  readonly moves: Tensor;
  /** Of the parameters of what moves. */
  readonly parameters: Tensor;
  readonly still: number;
}
