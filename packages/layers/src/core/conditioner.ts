/** The contract of conditioners: the blocks inside couplings, which need not be invertible. */
import {
  collectTensors,
  formatValue,
  isTemporary,
  type Shape,
  type Tensor,
  ValueError,
  zerosLike,
} from '@invnet/tensor';
import { childrenOf, Module } from '../tree/module.ts';
import {
  type Call,
  checkedTangent,
  contextFor,
  likeContext,
  madeBy,
  requireResult,
  requireShape,
  requireState,
} from './arguments.ts';
import { guarded, owned } from './guard.ts';
import { requireSaved, type Saved, savedBy } from './saved.ts';
import { ShapeRule } from './shape-rule.ts';
import type { Tangent } from './tangent.ts';
import { evaluation, evaluationBack } from './tape.ts';

/**
 * A differentiable function y = g(x), or g(x, context). `forward` returns what `backward` needs, so
 * a coupling's backward evaluates its conditioner once.
 *
 * As with `Bijection`, the three methods check and free, and a block gives the three maps `apply`,
 * `applyBackward` and `applyTangent`. What `apply` keeps (`K`: tensors in plain records and lists) are
 * tensors that it made, which `saved.dispose()` frees, and arguments, which it does not: keep x and
 * the context until `backward`.
 *
 * @throws ShapeError, ValueError from all three methods for arguments of a wrong shape.
 */
export abstract class Conditioner<K = unknown> extends Module {
  readonly #shapes = new ShapeRule<Shape, Shape | undefined>();

  forward(x: Tensor, context?: Tensor): { y: Tensor; saved: Saved<K> } {
    return evaluation(this, x, context, (outermost, x, context) => {
      const c = this.#check('forward', outermost, x, context);
      const { y: result, saved: kept } = madeBy([this, 'apply'], this.apply(x, c));
      const shape = this.outputShape(x.shape);
      if (shape) requireResult([this, 'apply'], 'y', result, shape);
      const tensors = new Set<Tensor>();
      collectTensors(kept, tensors);
      // The caller may free the result before backward: a result that is kept is handed out as a view.
      const own = owned(result, [x, c]);
      const y = tensors.has(own) ? own.reshape(own.shape) : own;
      // Arguments and parameters are not this call's; a context that was repeated for all samples is.
      const made = [...tensors].filter(isTemporary);
      const dispose = () => this.release(kept, made);
      return {
        y,
        saved: savedBy(this, { kept, input: x.shape, shape: y.shape, context, dispose }),
      };
    });
  }

  /** dx = (∂g/∂x)ᵀ dy; adds to each parameter's grad. Does not dispose `saved`. */
  backward(dy: Tensor, saved: Saved<K>): { dx: Tensor; dcontext?: Tensor } {
    return evaluationBack(this, () => {
      requireSaved(this, saved);
      requireShape([this, 'backward'], 'the gradient', dy, saved.shape);
      const { dx, dcontext } = madeBy([this, 'applyBackward'], this.applyBackward(dy, saved.kept));
      requireResult([this, 'applyBackward'], 'dx', dx, saved.input);
      return {
        dx: owned(dx, [dy]),
        ...(dcontext && {
          dcontext: likeContext(owned(dcontext, [dy, dx, saved.context]), saved.context),
        }),
      };
    });
  }

  /** g(x) and its derivative along a direction. */
  jvp(x: Tensor, tangent: Tangent, context?: Tensor): { y: Tensor; dy: Tensor } {
    return guarded(this, (outermost) => {
      const c = this.#check('jvp', outermost, x, context);
      const t = checkedTangent([this, 'jvp'], x, tangent, context);
      const { y, dy } = madeBy([this, 'applyTangent'], this.applyTangent(x, t, c));
      const directions = [...(t.parameters?.values() ?? [])];
      const given = [x, t.x, c, context, t.context, tangent.context, ...directions];
      return { y: owned(y, given), dy: dy ? owned(dy, given) : zerosLike(y) };
    });
  }

  /**
   * The shape of y for that of x; undefined for a block that does not say.
   * @throws ShapeError for one that it does not take.
   */
  outputShape(x: Shape): Shape | undefined {
    return this.#shapes.of(x, this, 'outputShape', () => this.applyShape(x));
  }

  /** Does the result depend on a context? Default: as one of its children does. */
  get usesContext(): boolean {
    return childrenOf(this).some((m) => 'usesContext' in m && m.usesContext === true);
  }

  protected abstract apply(x: Tensor, context?: Tensor): { readonly y: Tensor; readonly saved: K };

  protected abstract applyBackward(
    dy: Tensor,
    saved: K,
  ): { readonly dx: Tensor; readonly dcontext?: Tensor };

  /** A `dy` that is left out is zero. */
  protected abstract applyTangent(
    x: Tensor,
    tangent: Tangent,
    context?: Tensor,
  ): { readonly y: Tensor; readonly dy?: Tensor | undefined };

  /** Frees what `apply` left: the tensors in it that it made. */
  protected release(_saved: K, made: readonly Tensor[]): void {
    for (const t of made) t.dispose();
  }

  /** The shape of g(x), checks included. */
  protected abstract applyShape(x: Shape): Shape | undefined;

  #check(
    method: string,
    outermost: boolean,
    x: Tensor,
    context: Tensor | undefined,
  ): Tensor | undefined {
    const call: Call = [this, method];
    requireState(call, x, 1);
    this.outputShape(x.shape);
    // Within a network all are passed the context, whether they use it or not.
    return context === undefined
      ? context
      : contextFor(call, !outermost || this.usesContext, x, context);
  }
}

/** g(x) alone, without what its backward needs. */
export function evaluate(g: Conditioner, x: Tensor, context?: Tensor): Tensor {
  const { y, saved } = requireConditioner('evaluate', 'g', g).forward(x, context);
  saved.dispose();
  return y;
}

/** The block itself. @throws ValueError unless it is a conditioner. */
export function requireConditioner<K>(op: string, name: string, g: Conditioner<K>): Conditioner<K> {
  if (g instanceof Conditioner) return g;
  throw new ValueError(`${op}: ${name} is ${formatValue(g)}; expected a conditioner.`);
}
