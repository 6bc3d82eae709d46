/**
 * Reflections whose vectors come from a context. Mathematics: docs/math/linear/householder.md
 *
 * Vectors that are the same for all samples are parameters of a `Householder`.
 */
import {
  add,
  affine,
  concat,
  formatShape,
  mul,
  neg,
  power,
  type Shape,
  ShapeError,
  slice,
  sub,
  sum,
  sumSquares,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import {
  requireChannels,
  requireModuleOptions,
  requireRepeats,
  requireWhole,
} from '../core/checks.ts';
import { sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';

/** Options of `ConditionalHouseholder`. */
export interface ConditionalHouseholderOptions {
  readonly channels: number;
  /** How many vectors the context has. Default: 2. */
  readonly reflections?: number;
}

/**
 * y = H(v₁)H(v₂)…H(vₖ) x, H(v) = I − 2vvᵀ/vᵀv, for the vectors v of the context, one behind the other along
 * its channels; logdet = 0. Nothing is trained here: what makes the context is.
 *
 * The context is [N, k·C], one set of vectors for all positions of a sample, or [N, k·C, …] of x's
 * resolution, one for each. A vector of zeros reflects at nothing, and gives no numbers.
 *
 * @example
 * const turn = new ConditionalHouseholder({ channels: 3, reflections: 2 });
 * const { y } = turn.forward(x, vectors); // x [N, 3, ...], vectors [N, 6]
 */
export class ConditionalHouseholder extends Bijection {
  static readonly type: string = 'ConditionalHouseholder';
  readonly channels: number;
  readonly reflections: number;

  /** @throws ValueError unless channels and reflections are whole and at least 1. */
  constructor(options: ConditionalHouseholderOptions) {
    super();
    requireModuleOptions('ConditionalHouseholder', options, ['channels', 'reflections']);
    const { channels, reflections = 2 } = options;
    requireWhole('ConditionalHouseholder', 'channels', channels, 1);
    requireRepeats('ConditionalHouseholder', 'reflections', reflections);
    this.channels = channels;
    this.reflections = reflections;
  }

  get options() {
    return { channels: this.channels, reflections: this.reflections };
  }

  override get usesContext(): boolean {
    return true;
  }

  /** @throws ValueError without a context, ShapeError for one of another shape. */
  protected apply(x: Tensor, context?: Tensor) {
    const vectors = this.#vectors(x, context);
    return { y: vectors.reduceRight((u, v) => reflect(u, v), x) };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const vectors = this.#vectors(y, context);
    return { x: vectors.reduce((u, v) => reflect(u, v), y) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, { context }: BackwardOptions) {
    const vectors = this.#vectors(y, context);
    const { state, gradient, gradients } = undone(vectors, y, dy);
    return { x: state, dx: gradient, dcontext: joined(gradients, context!) };
  }

  protected invertBackward(x: Tensor, dx: Tensor, { context }: BackwardOptions) {
    const vectors = this.#vectors(x, context).toReversed();
    const { state, gradient, gradients } = undone(vectors, x, dx);
    return { y: state, dy: gradient, dcontext: joined(gradients.toReversed(), context!) };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const vectors = this.#vectors(x, context).toReversed();
    const directions = tangent.context && this.#vectors(x, tangent.context).toReversed();
    const { state, direction } = alongAll(vectors, directions, x, tangent.x);
    return { y: state, dy: direction };
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const vectors = this.#vectors(y, context);
    const directions = tangent.context && this.#vectors(y, tangent.context);
    const { state, direction } = alongAll(vectors, directions, y, tangent.x);
    return { x: state, dx: direction };
  }

  protected override applyShape(x: Shape): Shape {
    return requireChannels('ConditionalHouseholder', x, this.channels);
  }

  /** The vectors of a context, as they are broadcast over x. */
  #vectors(x: Tensor, context: Tensor | undefined): Tensor[] {
    if (!context) {
      throw new ValueError('ConditionalHouseholder: expected a context of vectors, got none.');
    }
    const { channels, reflections } = this;
    const [n, , ...size] = x.shape;
    const { shape } = context;
    const everywhere = shape.length === 2;
    const same =
      everywhere || (shape.length === x.rank && size.every((s, i) => s === shape[i + 2]));
    if (shape[1] !== reflections * channels || !same) {
      const expected = [n!, reflections * channels];
      throw new ShapeError(
        `ConditionalHouseholder: context ${formatShape(shape)} for data ${formatShape(x.shape)}; expected ` +
          `${formatShape(expected)} or ${formatShape([...expected, ...size])}.`,
      );
    }
    const wide = everywhere ? context.reshape([...shape, ...size.map(() => 1)]) : context;
    return Array.from({ length: reflections }, (_, k) => slice(wide, 1, k * channels, channels));
  }
}

/** u = √2 v/|v| and its factor √2/|v|. */
function scaled(v: Tensor): { readonly u: Tensor; readonly root: Tensor } {
  const squares = sumSquares(v, { axes: [1], keepDims: true });
  const root = affine(power(squares, -0.5), Math.SQRT2);
  return { u: mul(v, root), root };
}

/** aᵀb at each position. */
function dot(a: Tensor, b: Tensor): Tensor {
  return sum(mul(a, b), { axes: [1], keepDims: true });
}

/** H(v) x = x − u uᵀx */
function reflect(x: Tensor, v: Tensor): Tensor {
  const { u } = scaled(v);
  return sub(x, mul(u, dot(u, x)));
}

/** The map d ↦ (√2/|v|)(d − u uᵀd/2), which is the derivative of u by v, and its own adjoint. */
function throughNorm({ u, root }: ReturnType<typeof scaled>, d: Tensor): Tensor {
  return mul(sub(d, mul(u, affine(dot(u, d), 0.5))), root);
}

/** Back through reflections, the last one first: the state before them, its gradient and those of the vectors. */
function undone(vectors: readonly Tensor[], after: Tensor, dafter: Tensor) {
  let [state, gradient] = [after, dafter];
  const gradients: Tensor[] = [];
  for (const v of vectors) {
    const { u, root } = scaled(v);
    const along = dot(u, gradient);
    // Before the reflection, uᵀx has the other sign.
    const before = dot(u, state);
    state = sub(state, mul(u, before));
    const du = sub(mul(gradient, before), mul(state, along));
    gradients.push(throughNorm({ u, root }, du));
    gradient = sub(gradient, mul(u, along));
  }
  return { state, gradient, gradients };
}

/** The vectors' gradients as one of the context; one vector of all positions gets their sum. */
function joined(gradients: readonly Tensor[], context: Tensor): Tensor {
  const whole = concat(gradients, 1);
  if (whole.rank === context.rank) return whole;
  return sum(whole, { axes: whole.shape.map((_, i) => i).slice(2) });
}

/** A state and its direction through reflections, the first one first. */
function alongAll(
  vectors: readonly Tensor[],
  directions: readonly Tensor[] | undefined,
  x: Tensor,
  dx: Tensor | undefined,
) {
  let [state, direction] = [x, dx];
  for (const [k, v] of vectors.entries()) {
    const { u, root } = scaled(v);
    const du = directions && throughNorm({ u, root }, directions[k]!);
    const along = dot(u, state);
    const still = direction && sub(direction, mul(u, dot(u, direction)));
    const turned = du && neg(add(mul(du, along), mul(u, dot(du, state))));
    direction = sumOfTerms(state, still, turned);
    state = sub(state, mul(u, along));
  }
  return { state, direction };
}
