/** The equation that inverts planar and Sylvester flows. Mathematics: docs/math/residual/planar.md */
import {
  abs,
  add,
  affine,
  div,
  full,
  maximum,
  mul,
  sign,
  square,
  sub,
  type Tensor,
  tanh,
  tidy,
} from '@invnet/tensor';

/** Halvings of the interval, and steps of Newton's method from its middle: to rounding in float64. */
const [halvings, newtonSteps] = [16, 6];

/** Slopes below it count as it, so that a root where the curve is flat stays one. */
const leastSlope = 1e-30;

/**
 * a with a + k·tanh(a) = c, given `rise` = 1 + k > 0, by which the left side increases at 0. It lies within |k| of c.
 */
export function tanhRoot(rise: Tensor, c: Tensor): Tensor {
  return tidy(() => {
    const k = affine(rise, 1, -1);
    const width = abs(k);
    const excess = (a: Tensor) => sub(add(a, mul(k, tanh(a))), c);
    const least = full([], leastSlope, c);
    const slope = (a: Tensor) => maximum(determinantOf(rise, tanhSlope(tanh(a))), least);
    let a = c;
    const step = (next: (a: Tensor) => Tensor) => {
      const before = a;
      a = tidy(() => next(before));
      if (before !== c) before.dispose();
    };
    for (let i = 1; i <= halvings; i++) {
      step((at) => sub(at, mul(sign(excess(at)), affine(width, 2 ** -i))));
    }
    for (let i = 0; i < newtonSteps; i++) step((at) => sub(at, div(excess(at), slope(at))));
    return a;
  });
}

/** 1 + k f′ = (1 − f′) + (1 + k) f′, which keeps its digits where k is near −1. */
export function determinantOf(rise: Tensor, slope: Tensor): Tensor {
  return add(affine(slope, -1, 1), mul(rise, slope));
}

/** tanh′ in terms of its value. */
export function tanhSlope(value: Tensor): Tensor {
  return affine(square(value), -1, 1);
}
