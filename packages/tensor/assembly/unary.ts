/**
 * Element-wise functions of one argument, over contiguous arrays. The order of the codes is that of
 * `unaryCodes` in src/wasm/codes.ts.
 */
import { exp4, log4, sigmoid4, softplus4, tanh4 } from './math';
import { LANES, madd, select, splat, VECTOR } from './simd';

// @ts-ignore: decorator
@inline
function apply(op: i32, x: v128, alpha: v128, beta: v128): v128 {
  switch (op) {
    case 0:
      return f32x4.abs(x);
    case 1:
      return madd(x, alpha, beta);
    case 2:
      return exp4(x);
    case 3:
      return select(f32x4.gt(x, splat(0)), x, f32x4.mul(x, alpha));
    case 4:
      return log4(x);
    case 5:
      return f32x4.neg(x);
    case 6:
      return f32x4.div(splat(1), x);
    case 7:
      return f32x4.pmax(x, splat(0));
    case 8:
      return sigmoid4(x);
    case 9: {
      const one = splat(1);
      const positive = v128.and(f32x4.gt(x, splat(0)), one);
      const negative = v128.and(f32x4.lt(x, splat(0)), one);
      return select(f32x4.eq(x, x), f32x4.sub(positive, negative), x);
    }
    case 10:
      return softplus4(x);
    case 11:
      return f32x4.sqrt(x);
    case 12:
      return f32x4.mul(x, x);
    default:
      return tanh4(x);
  }
}

// @ts-ignore: decorator
@inline
function each(op: i32, from: usize, to: usize, size: i32, alpha: f32, beta: f32): void {
  const a = splat(alpha);
  const b = splat(beta);
  for (let i = 0; i < size; i += LANES) {
    v128.store(to, apply(op, v128.load(from), a, b));
    from += VECTOR;
    to += VECTOR;
  }
}

export function unary(op: i32, from: usize, to: usize, size: i32, alpha: f64, beta: f64): void {
  const a = <f32>alpha;
  const b = <f32>beta;
  switch (op) {
    case 0:
      return each(0, from, to, size, a, b);
    case 1:
      return each(1, from, to, size, a, b);
    case 2:
      return each(2, from, to, size, a, b);
    case 3:
      return each(3, from, to, size, a, b);
    case 4:
      return each(4, from, to, size, a, b);
    case 5:
      return each(5, from, to, size, a, b);
    case 6:
      return each(6, from, to, size, a, b);
    case 7:
      return each(7, from, to, size, a, b);
    case 8:
      return each(8, from, to, size, a, b);
    case 9:
      return each(9, from, to, size, a, b);
    case 10:
      return each(10, from, to, size, a, b);
    case 11:
      return each(11, from, to, size, a, b);
    case 12:
      return each(12, from, to, size, a, b);
    default:
      return each(13, from, to, size, a, b);
  }
}
