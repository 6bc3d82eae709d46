/**
 * Bijections that users write, from a function, its inverse and its backward: as MemCNN's wrapper makes
 * them, which takes the backward from automatic differentiation.
 * Mathematics: docs/math/combinators/custom-bijection.md
 */
import {
  neg,
  requireBoolean,
  requireFunction,
  requireOptions,
  type Shape,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { type BackwardOptions, Bijection } from '../core/bijection.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Options } from '../tree/module.ts';
import { type Parameter, requireParameters } from '../tree/parameter.ts';

/** What a `CustomBijection` is made of. */
export interface CustomBijectionParts {
  /** y = f(x) */
  forward(x: Tensor, context?: Tensor): Tensor;
  /** x = f⁻¹(y) */
  inverse(y: Tensor, context?: Tensor): Tensor;
  /** log|det ∂f/∂x| per sample, [N], of which densities are made. Default: zero, as of maps that keep volumes. */
  logdet?(x: Tensor, y: Tensor, context?: Tensor): Tensor;
  /** dx = Jᵀdy + dlogdet·∇ₓlogdet at x (and dcontext); adds to the parameters' gradients. */
  backward(x: Tensor, dy: Tensor, options: BackwardOptions): { dx: Tensor; dcontext?: Tensor };
  /** The same of f⁻¹ at y; dlogdet is that of the inverse, −log|det ∂f/∂x|. Needed by gradients of the inverse. */
  backwardInverse?(
    y: Tensor,
    dx: Tensor,
    options: BackwardOptions,
  ): { dy: Tensor; dcontext?: Tensor };
  /** The derivatives of y and of logdet at x. Needed by Jacobians. */
  jvp?(
    x: Tensor,
    tangent: Tangent,
    context?: Tensor,
  ): { dy?: Tensor | undefined; dlogdet?: Tensor | undefined };
  /** The same of f⁻¹ at y. Needed by Jacobians of the inverse. */
  jvpInverse?(
    y: Tensor,
    tangent: Tangent,
    context?: Tensor,
  ): { dx?: Tensor | undefined; dlogdet?: Tensor | undefined };
  /** The shape of y. Default: that of x. @throws ShapeError for an x that f does not take. */
  outputShape?(x: Shape): Shape;
  /** The shape of x. Default: as `outputShape`. */
  inputShape?(y: Shape): Shape;
  /** Default: none. */
  readonly parameters?: readonly Parameter[];
  /** Does y depend on a context? Default: where `forward` has a second argument. */
  readonly usesContext?: boolean;
}

const needed = ['forward', 'inverse', 'backward'] as const;
const derivatives = ['backwardInverse', 'jvp', 'jvpInverse'] as const;
const optional = ['logdet', ...derivatives, 'outputShape', 'inputShape'] as const;
const names = [...needed, ...optional, 'parameters', 'usesContext'];

/**
 * Any function that has an inverse as a layer: what it computes between x and y is not stored, and backward
 * finds x again by `inverse`, or has it with `keeping('inputs')`. With a name (see `named`) it can be saved.
 *
 * Whether `inverse` is one, and `backward` the derivative, `checkBijection` of `@invnet/jvp` tells, of what there is.
 *
 * @example
 * const cubes = new CustomBijection(named('cubes', {
 *   forward: (x) => mul(x, square(x)),
 *   inverse: (y) => mul(sign(y), power(abs(y), 1 / 3)),
 *   backward: (x, dy) => ({ dx: affine(mul(dy, square(x)), 3) }),
 * }));
 * await assertBijection(cubes, { x }); // says that logdet is missing, if it is to be a density
 */
export class CustomBijection extends Bijection {
  static readonly type: string = 'CustomBijection';
  /** The parameters that the functions use. */
  readonly own: readonly Parameter[];
  readonly #parts: CustomBijectionParts;

  /** @throws ValueError for parts of other names, or what is no function. */
  constructor(parts: CustomBijectionParts) {
    super();
    requireOptions('CustomBijection', parts, names);
    for (const name of needed) requireFunction('CustomBijection', name, parts[name]);
    for (const name of optional) {
      if (parts[name] !== undefined) requireFunction('CustomBijection', name, parts[name]);
    }
    if (parts.usesContext !== undefined) {
      requireBoolean('CustomBijection', 'usesContext', parts.usesContext);
    }
    this.#parts = parts;
    this.own = parts.parameters ?? [];
    requireParameters('CustomBijection', this.own);
  }

  static build({ parts }: { readonly parts: CustomBijectionParts }): CustomBijection {
    return new CustomBijection(parts);
  }

  get options(): Options {
    return { parts: this.#parts };
  }

  override get usesContext(): boolean {
    return this.#parts.usesContext ?? this.#parts.forward.length > 1;
  }

  /** What an inverse costs is not known. */
  override get keepsInput(): boolean {
    return true;
  }

  protected apply(x: Tensor, context?: Tensor) {
    const y = this.#parts.forward(x, context);
    return { y, logdet: this.#parts.logdet?.(x, y, context) };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const x = this.#parts.inverse(y, context);
    const logdet = this.#parts.logdet?.(x, y, context);
    return { x, logdet: logdet && neg(logdet) };
  }

  protected applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions, kept?: Tensor) {
    const x = kept ?? this.#parts.inverse(y, options.context);
    return { ...this.#parts.backward(x, dy, options), x };
  }

  /** @throws MissingPartError when the layer was made without a `backwardInverse`. */
  protected invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions, kept?: Tensor) {
    const parts = this.#parts;
    if (!parts.backwardInverse) throw missing('backwardInverse', 'gradients of its inverse');
    const y = kept ?? parts.forward(x, options.context);
    return { ...parts.backwardInverse(y, dx, options), y };
  }

  /** @throws MissingPartError when the layer was made without a `jvp`. */
  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const parts = this.#parts;
    if (!parts.jvp) throw missing('jvp', 'Jacobians');
    return { ...parts.jvp(x, tangent, context), ...this.apply(x, context) };
  }

  /** @throws MissingPartError when the layer was made without a `jvpInverse`. */
  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const parts = this.#parts;
    if (!parts.jvpInverse) throw missing('jvpInverse', 'Jacobians of its inverse');
    return { ...parts.jvpInverse(y, tangent, context), ...this.invert(y, context) };
  }

  protected override applyShape(x: Shape): Shape {
    return this.#parts.outputShape?.(x) ?? x;
  }

  protected override invertShape(y: Shape): Shape {
    return this.#parts.inputShape?.(y) ?? this.applyShape(y);
  }
}

/** A method needs a part that a `CustomBijection` was made without. */
export class MissingPartError extends ValueError {
  override name = 'MissingPartError';
}

function missing(part: string, users: string): MissingPartError {
  return new MissingPartError(
    `CustomBijection: made without ${part}, which ${users} need; expected it among the parts.`,
  );
}
