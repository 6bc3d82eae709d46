/**
 * What numbers on a circle need, of operations that every backend has: the nearest whole number, and sine and
 * cosine to the last digits of float64 and float32. As primitives they would be in the kernels of every page,
 * and those of graphics devices have few digits.
 * Mathematics: docs/math/elementwise/circular-shift.md
 */
import { affine, div, mul, square, sub, type Tensor, tidy } from '@invnet/tensor';
import { tangent } from './arctangent.ts';

/** Numbers beyond it have no digits behind the point: what is added to it is rounded to a whole number. */
const whole = { float32: 1.5 * 2 ** 23, float64: 1.5 * 2 ** 52 } as const;

/** 2π in two parts. The first has so few bits that its product with a number of turns is exact, in float32 below 2¹⁵. */
const TURN = 2 * Math.PI;
const TURN_HIGH = 6.28125;
const TURN_LOW = 0.0019353071795864768;

/** The nearest whole number, the even one of two, for |x| < 2²² in float32 and 2⁵¹ in float64. */
export function nearest(x: Tensor): Tensor {
  return tidy(() => affine(affine(x, 1, whole[x.dtype]), 1, -whole[x.dtype]));
}

/** x less whole multiples of 2·bound, from −bound to bound. */
export function wrapped(x: Tensor, bound: number): Tensor {
  return tidy(() => sub(x, affine(nearest(affine(x, 1 / (2 * bound))), 2 * bound)));
}

/**
 * sin x and cos x, to the rounding of x: t = tan(r/4) of what is left of x without whole turns gives
 * 4t(1 − t²)/(1 + t²)² and 1 − 8t²/(1 + t²)².
 */
export function sineAndCosine(x: Tensor): readonly [Tensor, Tensor] {
  return tidy(() => {
    const turns = nearest(affine(x, 1 / TURN));
    const rest = sub(sub(x, affine(turns, TURN_HIGH)), affine(turns, TURN_LOW));
    const t = tangent(affine(rest, 0.25));
    const w = square(t);
    const over = square(affine(w, 1, 1));
    const sine = div(mul(affine(t, 4), affine(w, -1, 1)), over);
    return [sine, affine(div(affine(w, 8), over), -1, 1)] as const;
  });
}
