/**
 * Transformers: families of increasing maps of one number, whose parameters come from elsewhere.
 * Mathematics: docs/math/transformers/transformers.md
 *
 * Left out: who gives the parameters. Half of the channels do in a `TransformerCoupling`, the context in a
 * `ConditionalTransform`, and in an `ElementwiseTransform` they are parameters of its own.
 */
import {
  formatShape,
  formatValue,
  type Shape,
  ShapeError,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import { sameShape } from '../core/state.ts';
import { Module } from '../tree/module.ts';

/**
 * A map y = f(x; p) of each number of x [N, C, …], increasing in x, with `size` parameters for each:
 * parameter j of channel c is channel j·C + c of p [N, size·C, …]. Any real numbers are right as
 * parameters; zeros are the identity, or near it.
 *
 * The six methods are formulas, as the hooks of a `Bijection` are: called within the methods of the module
 * that holds the transformer, with arguments that it has checked. Log-determinants are sums over all numbers
 * of a sample, [N]; a gradient, direction or `dlogdet` that is left out is zero.
 *
 * @example
 * const f = new RationalQuadraticSpline({ bins: 8 });
 * new TransformerCoupling({ channels: 4, transformer: f, hidden: 32 }); // 2·f.size channels of parameters
 */
export abstract class Transformer extends Module {
  /** How many parameters each number has. */
  abstract readonly size: number;

  /** Is what it does to a number a matter of that number and its own parameters alone? Default: true. */
  get pointwise(): boolean {
    return true;
  }

  /** y = f(x; p), and Σ log ∂f/∂x. */
  abstract apply(x: Tensor, p: Tensor): { y: Tensor; logdet: Tensor };

  /** x = f⁻¹(y; p), and Σ log ∂f⁻¹/∂y. */
  abstract invert(y: Tensor, p: Tensor): { x: Tensor; logdet: Tensor };

  /** From y and the gradients of both results of `apply`: x, and the gradients of x and p. */
  abstract applyBackward(
    y: Tensor,
    p: Tensor,
    dy: Tensor,
    dlogdet?: Tensor,
  ): { x: Tensor; dx: Tensor; dp: Tensor };

  /** The same for `invert`: y, and the gradients of y and p. */
  abstract invertBackward(
    x: Tensor,
    p: Tensor,
    dx: Tensor,
    dlogdet?: Tensor,
  ): { y: Tensor; dy: Tensor; dp: Tensor };

  /** `apply`, and its derivative along directions of x and p. */
  abstract applyTangent(
    x: Tensor,
    p: Tensor,
    dx?: Tensor,
    dp?: Tensor,
  ): { y: Tensor; dy: Tensor; logdet: Tensor; dlogdet: Tensor };

  /** `invert`, and its derivative along directions of y and p. */
  abstract invertTangent(
    y: Tensor,
    p: Tensor,
    dy?: Tensor,
    dp?: Tensor,
  ): { x: Tensor; dx: Tensor; logdet: Tensor; dlogdet: Tensor };
}

/** The transformer itself. @throws ValueError unless it is one. */
export function requireTransformer(op: string, name: string, f: Transformer): Transformer {
  if (f instanceof Transformer) return f;
  throw new ValueError(
    `${op}: ${name} is ${formatValue(f)}; expected a transformer, such as new AffineTransformer().`,
  );
}

/** As `requireTransformer`. @throws ValueError for one that moves several numbers together. */
export function requirePointwise(op: string, name: string, f: Transformer): Transformer {
  if (requireTransformer(op, name, f).pointwise) return f;
  throw new ValueError(
    `${op}: ${name} is a ${f.type}, which moves several numbers together; expected a transformer of one ` +
      'number, such as new AffineTransformer().',
  );
}

/**
 * The shape of the parameters itself, which a conditioner gave.
 *
 * @throws ShapeError unless it has those of every number of x.
 */
export function requireParametersOf(op: string, f: Transformer, found: Shape, x: Shape): Shape {
  const [n, channels, ...size] = x;
  const expected = [n!, f.size * channels!, ...size];
  if (sameShape(found, expected)) return found;
  throw new ShapeError(
    `${op}: the conditioner returned ${formatShape(found)}; expected ${formatShape(expected)}: ` +
      `${f.size} parameters of ${f.type} for each of ${channels} channels.`,
  );
}
