/** What an element-wise function is, as activation of a conditioner or scale of a coupling. */
import {
  formatShape,
  formatValue,
  type LogisticScale,
  type Tensor,
  ValueError,
} from '@invnet/tensor';

/** y = f(x), element by element. */
export interface Activation {
  /** For messages; of those here, their type in files. */
  readonly name: string;
  /** What makes it again; left out for functions of one's own, which need `named` to be saved. */
  readonly options?: Readonly<Record<string, number>>;
  /**
   * Bounds of f. A function with a positive lower bound can scale a coupling, and one with `log` that
   * comes arbitrarily close to zero.
   */
  readonly range: readonly [number, number];
  /** f(x) */
  apply(x: Tensor): Tensor;
  /** dy·f′(x), in terms of y = f(x), or of x where y does not tell it well. */
  grad(y: Tensor, dy: Tensor, x: Tensor): Tensor;
  /** Set where f(x) = low + (high − low)·σ(x), for which backends have couplings in one pass. */
  readonly logistic?: LogisticScale;
  /** log f, of a function that has it as accurately where f itself is too small or too large for numbers. */
  readonly log?: ScaleLogarithm;
}

/** The logarithm of a positive function, as a function of its own. */
export interface ScaleLogarithm {
  /** log f(x) */
  apply(x: Tensor): Tensor;
  /** dlog·(log f)′(x), in terms of x and y = f(x); dlog broadcasts. */
  grad(y: Tensor, dlog: Tensor, x: Tensor): Tensor;
}

/** A monotone activation onto its range, which `Elementwise` makes a layer. */
export interface InvertibleActivation extends Activation {
  /** f⁻¹(y) */
  invert(y: Tensor): Tensor;
  /** log f′(x), of x and y = f(x). */
  logSlope(x: Tensor, y: Tensor): Tensor;
  /** The derivative of log f′ at x. */
  logSlopeDerivative(x: Tensor, y: Tensor): Tensor;
}

/** One of those here, which files know by name and options; a copy of it with other functions is none. */
export type BuiltIn<F extends Activation> = F & {
  readonly options: Readonly<Record<string, number>>;
};

/** The function itself. @throws ValueError unless it is an activation. */
export function requireActivation(op: string, name: string, f: Activation): Activation {
  const log = f?.log && [f.log.apply, f.log.grad];
  const functions: readonly unknown[] = [f?.apply, f?.grad, ...(log ?? [])];
  const range: readonly unknown[] = Array.isArray(f?.range) ? f.range : [];
  const bounds = range.length === 2 && range.every((bound) => typeof bound === 'number');
  if (functions.every((g) => typeof g === 'function') && bounds) return f;
  throw new ValueError(
    `${op}: ${name} is ${formatValue(f)}; expected an activation, such as sigmoid().`,
  );
}

/** The function itself. @throws ValueError unless it is an activation that can scale. */
export function requireScaleFunction(op: string, f: Activation): Activation {
  const { range, log, name } = requireActivation(op, 'scaleFunction', f);
  if (range[0] > 0 || (range[0] === 0 && log)) return f;
  throw new ValueError(
    `${op}: scale function ${name} has the range ${formatShape(range)}; expected a positive lower bound, ` +
      'as of sigmoid({ low: 0.5 }) or expClamp(), or one of zero and `log`, as of exp().',
  );
}
