/**
 * The contract of an invertible layer or network (docs/contract.md). Here arguments are checked,
 * memory is freed and errors get their place, once for all; what a layer computes is left to it.
 */
import { formatValue, type Tensor, ValueError, zeros, zerosLike } from '@invnet/tensor';
import { childrenOf, Module } from '../tree/module.ts';
import {
  type Call,
  checkedTangent,
  contextFor,
  likeContext,
  madeBy,
  requireFields,
  requireResult,
  requireShape,
  requireState,
  requireStateShape,
} from './arguments.ts';
import { guarded, owned } from './guard.ts';
import { ShapeRule } from './shape-rule.ts';
import {
  mapState,
  type Pair,
  type ShapeOf,
  type State,
  shapeOf,
  shapesIn,
  tensorsOf,
} from './state.ts';
import type { Tangent } from './tangent.ts';
import { back, forth } from './tape.ts';

/** What goes with a backward call. */
export interface BackwardOptions {
  /** ∂loss/∂logdet per sample, shape [N]. Zero when left out. */
  readonly dlogdet?: Tensor | undefined;
  /** The same context that the forward (inverse) call had. */
  readonly context?: Tensor | undefined;
}

const backwardOptions = ['dlogdet', 'context'];

/** What `apply` makes; a log-determinant that is left out is zero. */
export interface Applied<S extends State = Tensor> {
  readonly y: S;
  readonly logdet?: Tensor | undefined;
}

/** What `invert` makes; a log-determinant that is left out is zero. */
export interface Inverted<S extends State = Tensor> {
  readonly x: S;
  readonly logdet?: Tensor | undefined;
}

/**
 * An invertible map y = f(x) with parameters. `S` is a tensor, or a pair where the map acts on one.
 *
 * Ownership: a method disposes nothing that it was given; what it returns belongs to the caller.
 * Gradients accumulate in `parameters`. No state is kept between calls: `backward` recomputes the
 * input from the output, which is why memory does not grow with depth.
 *
 * The six methods come from outside: they check their arguments and free all but their results. A
 * layer gives the six maps `apply`, `invert`, `applyBackward`, `invertBackward`, `applyTangent` and
 * `invertTangent`, which are formulas and nothing else: their arguments are right, all that they make
 * and do not return is freed, and they may return what they were given.
 *
 * @throws ShapeError, ValueError from all six methods, before any number is computed, for a state,
 * gradient, direction, log-determinant or context of a wrong shape, or a context that nothing uses.
 */
export abstract class Bijection<S extends State = Tensor> extends Module {
  readonly #outputShapes = new ShapeRule<ShapeOf<S>, ShapeOf<S>>();
  readonly #inputShapes = new ShapeRule<ShapeOf<S>, ShapeOf<S>>();

  /** y = f(x), and log|det ∂f/∂x| per sample, shape [N]. */
  forward(x: S, context?: Tensor): { y: S; logdet: Tensor } {
    return forth(this, 'forward', x, (outermost) => {
      const c = this.#check('forward', outermost, x, this.outputShape, context);
      const { y, logdet } = this.#checked('apply', this.apply(x, c), this.outputShape(shapeOf(x)), [
        'y',
      ]);
      return { y: owned(y, tensorsOf(x)), logdet: logdet ?? zeroPerSample(x) };
    });
  }

  /** x = f⁻¹(y), and log|det ∂f⁻¹/∂y| per sample, shape [N]. */
  inverse(y: S, context?: Tensor): { x: S; logdet: Tensor } {
    return forth(this, 'inverse', y, (outermost) => {
      const c = this.#check('inverse', outermost, y, this.inputShape, context);
      const { x, logdet } = this.#checked(
        'invert',
        this.invert(y, c),
        this.inputShape(shapeOf(y)),
        ['x'],
      );
      return { x: owned(x, tensorsOf(y)), logdet: logdet ?? zeroPerSample(y) };
    });
  }

  /**
   * Recomputes x from y, and returns dx = Jᵀdy + dlogdet·∇ₓlogdet. Adds to each parameter's grad.
   */
  backward(y: S, dy: S, options: BackwardOptions = {}): { x: S; dx: S; dcontext?: Tensor } {
    return back(this, 'forward', y, (outermost, kept) => {
      const o = this.#checkBackward('backward', outermost, y, dy, this.inputShape, options);
      const { x, dx, dcontext } = this.#checked(
        'applyBackward',
        this.applyBackward(y, dy, o, kept),
        this.inputShape(shapeOf(y)),
        ['x', 'dx'],
      );
      const given = [...tensorsOf(y), ...tensorsOf(dy)];
      return {
        x: kept ?? owned(x, given),
        dx: owned(dx, given),
        ...ownContext(dcontext, o, options, [...given, ...tensorsOf(dx)]),
      };
    });
  }

  /** The same for the inverse map: recomputes y from x. */
  backwardInverse(x: S, dx: S, options: BackwardOptions = {}): { y: S; dy: S; dcontext?: Tensor } {
    return back(this, 'inverse', x, (outermost, kept) => {
      const o = this.#checkBackward('backwardInverse', outermost, x, dx, this.outputShape, options);
      const { y, dy, dcontext } = this.#checked(
        'invertBackward',
        this.invertBackward(x, dx, o, kept),
        this.outputShape(shapeOf(x)),
        ['y', 'dy'],
      );
      const given = [...tensorsOf(x), ...tensorsOf(dx)];
      return {
        y: kept ?? owned(y, given),
        dy: owned(dy, given),
        ...ownContext(dcontext, o, options, [...given, ...tensorsOf(dy)]),
      };
    });
  }

  /** Forward differentiation along a direction in the input, the parameters and the context. */
  jvp(
    x: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): { y: S; dy: S; logdet: Tensor; dlogdet: Tensor } {
    return guarded(this, (outermost) => {
      const c = this.#check('jvp', outermost, x, this.outputShape, context);
      const t = checkedTangent([this, 'jvp'], x, tangent, context);
      const { y, dy, logdet, dlogdet } = this.#checked(
        'applyTangent',
        this.applyTangent(x, t, c),
        this.outputShape(shapeOf(x)),
        ['y'],
      );
      const given = givenTo(x, t, tangent, [c, context]);
      return {
        y: owned(y, given),
        dy: dy ? owned(dy, given) : mapState(y, zerosLike),
        logdet: logdet ?? zeroPerSample(x),
        dlogdet: dlogdet ?? zeroPerSample(x),
      };
    });
  }

  /** The same for the inverse map, which is what lets a reversed network be differentiated. */
  jvpInverse(
    y: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): { x: S; dx: S; logdet: Tensor; dlogdet: Tensor } {
    return guarded(this, (outermost) => {
      const c = this.#check('jvpInverse', outermost, y, this.inputShape, context);
      const t = checkedTangent([this, 'jvpInverse'], y, tangent, context);
      const { x, dx, logdet, dlogdet } = this.#checked(
        'invertTangent',
        this.invertTangent(y, t, c),
        this.inputShape(shapeOf(y)),
        ['x'],
      );
      const given = givenTo(y, t, tangent, [c, context]);
      return {
        x: owned(x, given),
        dx: dx ? owned(dx, given) : mapState(x, zerosLike),
        logdet: logdet ?? zeroPerSample(y),
        dlogdet: dlogdet ?? zeroPerSample(y),
      };
    });
  }

  /** The shape of y for that of x, without computing it. @throws ShapeError for one that f does not take. */
  outputShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.#outputShapes.of(x, this, 'outputShape', () => this.applyShape(x));
  }

  /** The shape of x for that of y. @throws ShapeError for one that f does not give. */
  inputShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.#inputShapes.of(y, this, 'inputShape', () => this.invertShape(y));
  }

  /** Does the map depend on a context? Default: as one of its children does. */
  get usesContext(): boolean {
    return childrenOf(this).some((m) => 'usesContext' in m && m.usesContext === true);
  }

  /**
   * Does `keeping('inputs')` keep the argument too? For layers that recompute it slowly, as by iteration.
   * Default: false.
   */
  get keepsInput(): boolean {
    return false;
  }

  /** How many tensors a state has: 1, or 2 for a map of pairs. */
  get stateSize(): 1 | 2 {
    return 1;
  }

  protected abstract apply(x: S, context?: Tensor): Applied<S>;

  protected abstract invert(y: S, context?: Tensor): Inverted<S>;

  /** x comes where it was kept: then it need not be recomputed (`keeping`). */
  protected abstract applyBackward(
    y: S,
    dy: S,
    options: BackwardOptions,
    x?: S,
  ): { readonly x: S; readonly dx: S; readonly dcontext?: Tensor };

  protected abstract invertBackward(
    x: S,
    dx: S,
    options: BackwardOptions,
    y?: S,
  ): { readonly y: S; readonly dy: S; readonly dcontext?: Tensor };

  /** A `dy` or `dlogdet` that is left out is zero. */
  protected abstract applyTangent(
    x: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): Applied<S> & { readonly dy?: S | undefined; readonly dlogdet?: Tensor | undefined };

  protected abstract invertTangent(
    y: S,
    tangent: Tangent<S>,
    context?: Tensor,
  ): Inverted<S> & { readonly dx?: S | undefined; readonly dlogdet?: Tensor | undefined };

  /** The shape of f(x), checks included. Default: that of x, whatever it is. */
  protected applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return x;
  }

  /** The shape of f⁻¹(y), checks included. Default: as `applyShape`, for maps that keep the shape. */
  protected invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.applyShape(y);
  }

  /** Checks the state and the context, and gives the context, one for each sample. */
  #check(
    method: string,
    outermost: boolean,
    state: S,
    shapeRule: (shape: ShapeOf<S>) => ShapeOf<S>,
    context: Tensor | undefined,
  ): Tensor | undefined {
    const call: Call = [this, method];
    requireState(call, state, this.stateSize);
    shapeRule.call(this, shapeOf(state));
    // Within a network all are passed the context, whether they use it or not.
    return context === undefined
      ? context
      : contextFor(call, !outermost || this.usesContext, state, context);
  }

  #checkBackward(
    method: string,
    outermost: boolean,
    state: S,
    gradient: S,
    shapeRule: (shape: ShapeOf<S>) => ShapeOf<S>,
    options: BackwardOptions,
  ): BackwardOptions {
    const call: Call = [this, method];
    requireFields(call, options, backwardOptions);
    const { dlogdet, context } = options;
    const contexts = this.#check(method, outermost, state, shapeRule, context);
    requireState(call, gradient, this.stateSize);
    requireStateShape(call, 'the gradient', gradient, state);
    if (dlogdet !== undefined)
      requireShape(call, 'dlogdet', dlogdet, [tensorsOf(state)[0]!.shape[0]!]);
    return { dlogdet, context: contexts };
  }

  /** What a hook made: the states that are needed and what else there is, of the shapes that were declared. */
  #checked<R extends object>(
    hook: string,
    made: R,
    shape: ShapeOf<S>,
    needed: readonly string[],
  ): R {
    const call: Call = [this, hook];
    const found: ReadonlyMap<string, unknown> = new Map(Object.entries(madeBy(call, made)));
    const [samples] = shapesIn(shape)[0]!;
    for (const name of [...needed, 'dx', 'dy', 'logdet', 'dlogdet']) {
      if (!needed.includes(name) && found.get(name) === undefined) continue;
      requireResult(call, name, found.get(name), name.endsWith('logdet') ? [samples!] : shape);
    }
    return made;
  }
}

/** The context's gradient, if any, of the shape of the context that came, and no other tensor than the result. */
function ownContext(
  dcontext: Tensor | undefined,
  { context, dlogdet }: BackwardOptions,
  came: BackwardOptions,
  others: readonly Tensor[],
): { dcontext?: Tensor } {
  if (!dcontext) return {};
  const own = owned(dcontext, [...others, context, came.context, dlogdet]);
  return { dcontext: likeContext(own, came.context) };
}

/** All tensors that a tangent method was given. */
function givenTo<S extends State>(
  state: S,
  checked: Tangent<S>,
  came: Tangent<S>,
  contexts: readonly (Tensor | undefined)[],
): readonly (Tensor | undefined)[] {
  const directions = [...(checked.parameters?.values() ?? [])];
  const x = checked.x ? tensorsOf(checked.x) : [];
  return [...tensorsOf(state), ...x, ...directions, checked.context, came.context, ...contexts];
}

/** A map of pairs. */
export abstract class PairBijection extends Bijection<Pair> {
  override get stateSize(): 2 {
    return 2;
  }
}

/** Zeros of shape [N]. */
function zeroPerSample(state: State): Tensor {
  const [x] = tensorsOf(state);
  return zeros([x!.shape[0]!], x);
}

/** The map itself. @throws ValueError unless it is a bijection, of states of `size` tensors where given. */
export function requireBijection<S extends State>(
  op: string,
  name: string,
  map: Bijection<S>,
  size?: 1 | 2,
): Bijection<S> {
  if (map instanceof Bijection && (size === undefined || map.stateSize === size)) return map;
  const kind =
    size === undefined ? 'a bijection' : `a bijection of ${size === 1 ? 'tensors' : 'pairs'}`;
  throw new ValueError(`${op}: ${name} is ${nameOf(map)}; expected ${kind}.`);
}

function nameOf(value: unknown): string {
  return value instanceof Module ? `a ${value.type}` : formatValue(value);
}
