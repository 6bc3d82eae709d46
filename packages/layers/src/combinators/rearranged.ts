/** What changes how a state is laid out, and nothing else: a bijection of one kind of state as one of another. */
import type { Tensor } from '@invnet/tensor';
import { type BackwardOptions, Bijection, requireBijection } from '../core/bijection.ts';
import { type ShapeOf, type State, tensorsOf } from '../core/state.ts';
import type { Tangent } from '../core/tangent.ts';

/** Which of a map's two sides a state is on, where their shapes differ. */
export type Side = 'input' | 'output';

/**
 * y = R⁻¹(f(R(x))), R moving numbers without changing them; f is `inner`, whose log-determinant and
 * parameters are those of the whole.
 */
export abstract class Rearranged<S extends State, T extends State> extends Bijection<S> {
  readonly inner: Bijection<T>;

  constructor(inner: Bijection<T>, size: 1 | 2) {
    super();
    this.inner = requireBijection(this.type, 'inner', inner, size);
  }

  /** R, of the map's argument or its result. */
  protected abstract enter(state: S, side: Side): T;
  /** R⁻¹ */
  protected abstract leave(state: T): S;
  /** R of shapes. @throws ShapeError for one that R does not take. */
  protected abstract enterShape(shape: ShapeOf<S>, side: Side): ShapeOf<T>;
  /** R⁻¹ of shapes. */
  protected abstract leaveShape(shape: ShapeOf<T>): ShapeOf<S>;

  protected apply(x: S, context?: Tensor) {
    const u = this.enter(x, 'input');
    const { y, logdet } = this.inner.forward(u, context);
    free(u, x);
    return { y: this.#left(y), logdet };
  }

  protected invert(y: S, context?: Tensor) {
    const v = this.enter(y, 'output');
    const { x, logdet } = this.inner.inverse(v, context);
    free(v, y);
    return { x: this.#left(x), logdet };
  }

  protected applyBackward(y: S, dy: S, options: BackwardOptions) {
    const [v, dv] = [this.enter(y, 'output'), this.enter(dy, 'output')];
    const { x, dx, ...rest } = this.inner.backward(v, dv, options);
    free(v, y);
    free(dv, dy);
    return { x: this.#left(x), dx: this.#left(dx), ...rest };
  }

  protected invertBackward(x: S, dx: S, options: BackwardOptions) {
    const [u, du] = [this.enter(x, 'input'), this.enter(dx, 'input')];
    const { y, dy, ...rest } = this.inner.backwardInverse(u, du, options);
    free(u, x);
    free(du, dx);
    return { y: this.#left(y), dy: this.#left(dy), ...rest };
  }

  protected applyTangent(x: S, tangent: Tangent<S>, context?: Tensor) {
    const u = this.enter(x, 'input');
    const du = tangent.x && this.enter(tangent.x, 'input');
    const { y, dy, ...rest } = this.inner.jvp(u, { ...tangent, x: du }, context);
    free(u, x);
    if (du) free(du, tangent.x);
    return { y: this.#left(y), dy: this.#left(dy), ...rest };
  }

  protected invertTangent(y: S, tangent: Tangent<S>, context?: Tensor) {
    const v = this.enter(y, 'output');
    const dv = tangent.x && this.enter(tangent.x, 'output');
    const { x, dx, ...rest } = this.inner.jvpInverse(v, { ...tangent, x: dv }, context);
    free(v, y);
    if (dv) free(dv, tangent.x);
    return { x: this.#left(x), dx: this.#left(dx), ...rest };
  }

  protected override applyShape(x: ShapeOf<S>): ShapeOf<S> {
    return this.leaveShape(this.inner.outputShape(this.enterShape(x, 'input')));
  }

  protected override invertShape(y: ShapeOf<S>): ShapeOf<S> {
    return this.leaveShape(this.inner.inputShape(this.enterShape(y, 'output')));
  }

  #left(state: T): S {
    const result = this.leave(state);
    free(state, result);
    return result;
  }
}

/** Frees the tensors of a state that are not those of another. */
function free(state: State, kept: State | undefined): void {
  const tensors = kept ? tensorsOf(kept) : [];
  for (const t of tensorsOf(state)) if (!tensors.includes(t)) t.dispose();
}
