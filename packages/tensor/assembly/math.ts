/**
 * Elementary functions on four floats at once, over the whole range: infinities, NaN, −0 and
 * subnormal results included. Polynomials are those of Cephes.
 *
 * Largest errors among all 2³² floats, in either build, in units in the last place (ulp):
 *
 *                                    exp   log   tanh  sigmoid  softplus
 *   from the exactly rounded result  1     1     1     2        2
 *   from the exact result            1.02  0.83  1.34  2.41     1.99
 *
 * sigmoid and softplus on the left are nearly e^x, and where its error is one ulp theirs may be two,
 * for their ulp may be half as large. tests/accuracy.test.ts holds all of them to the first row.
 *
 * Left out: power, whose general case is not worth a vector version.
 */
import { madd, nmadd, select, splat } from './simd';

// @ts-ignore: decorator
@inline
function integers(x: i32): v128 {
  return i32x4.splat(x);
}

// @ts-ignore: decorator
@inline
function bits(x: u32): v128 {
  return i32x4.splat(<i32>x);
}

/** 2ⁿ for integers −126 … 127. */
// @ts-ignore: decorator
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, integers(127)), 23);
}

// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  // Beyond these bounds the result is 0 or ∞ anyway; in this order pmin and pmax keep NaN.
  const c = f32x4.pmax(f32x4.pmin(x, splat(89)), splat(-105));
  // Adding 1.5·2²³ leaves the nearest integer in the low bits: far cheaper than a conversion.
  const shifted = f32x4.add(f32x4.mul(c, splat(1.44269504088896341)), splat(12582912));
  const n = f32x4.sub(shifted, splat(12582912));
  let r = nmadd(n, splat(0.693359375), c);
  r = nmadd(n, splat(-2.12194440e-4), r);
  let p = splat(1.9875691500e-4);
  p = madd(p, r, splat(1.3981999507e-3));
  p = madd(p, r, splat(8.3334519073e-3));
  p = madd(p, r, splat(4.1665795894e-2));
  p = madd(p, r, splat(1.6666665459e-1));
  p = madd(p, r, splat(5.0000001201e-1));
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), splat(1));
  // The scale goes in two factors: 2¹²⁸ and 2⁻¹⁵⁰ have no float of their own.
  const whole = i32x4.sub(shifted, bits(0x4b400000));
  const half = i32x4.shr_s(whole, 1);
  return f32x4.mul(f32x4.mul(p, powerOfTwo(half)), powerOfTwo(i32x4.sub(whole, half)));
}

// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const small = f32x4.lt(x, splat(1.17549435e-38));
  const scaled = select(small, f32x4.mul(x, splat(8388608)), x);
  const offset = select(small, integers(-126 - 23), integers(-126));
  let e = i32x4.add(i32x4.shr_u(v128.and(scaled, bits(0x7fffffff)), 23), offset);
  let m = v128.or(v128.and(scaled, bits(0x007fffff)), bits(0x3f000000));
  // The mantissa goes to [√½, √2), where the polynomial is centred.
  const low = f32x4.lt(m, splat(0.707106781186547524));
  e = i32x4.add(e, low);
  m = f32x4.sub(f32x4.add(m, v128.and(m, low)), splat(1));
  const n = f32x4.convert_i32x4_s(e);
  const z = f32x4.mul(m, m);
  let p = splat(7.0376836292e-2);
  p = madd(p, m, splat(-1.1514610310e-1));
  p = madd(p, m, splat(1.1676998740e-1));
  p = madd(p, m, splat(-1.2420140846e-1));
  p = madd(p, m, splat(1.4249322787e-1));
  p = madd(p, m, splat(-1.6668057665e-1));
  p = madd(p, m, splat(2.0000714765e-1));
  p = madd(p, m, splat(-2.4999993993e-1));
  p = madd(p, m, splat(3.3333331174e-1));
  p = f32x4.mul(f32x4.mul(p, m), z);
  p = madd(n, splat(-2.12194440e-4), p);
  p = nmadd(z, splat(0.5), p);
  let y = madd(n, splat(0.693359375), f32x4.add(m, p));
  y = select(f32x4.eq(x, splat(0)), splat(-f32.MAX_VALUE * 2), y);
  y = select(f32x4.eq(x, splat(f32.MAX_VALUE * 2)), x, y);
  // Negative or NaN: exactly what is not ≥ 0.
  return select(f32x4.ge(x, splat(0)), y, splat(<f32>NaN));
}

/**
 * log(1 + u) for 0 ≤ u ≤ 1, as log w + (1 + u − w)/w with the rounded sum w. What the sum lost is an
 * exact difference, and its share of the result is small, so only the last addition rounds.
 */
// @ts-ignore: decorator
@inline
function log1p4(u: v128): v128 {
  const one = splat(1);
  const w = f32x4.add(one, u);
  const step = f32x4.sub(w, one);
  return f32x4.add(log4(w), f32x4.div(f32x4.sub(u, step), w));
}

// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  // e^−|x| never overflows, so the far left tail keeps its subnormals.
  const e = exp4(f32x4.neg(f32x4.abs(x)));
  const top = select(f32x4.lt(x, splat(0)), e, splat(1));
  return f32x4.div(top, f32x4.add(splat(1), e));
}

// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  return f32x4.add(f32x4.pmax(x, splat(0)), log1p4(exp4(f32x4.neg(f32x4.abs(x)))));
}

// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const a = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = splat(-5.70498872745e-3);
  p = madd(p, z, splat(2.06390887954e-2));
  p = madd(p, z, splat(-5.37397155531e-2));
  p = madd(p, z, splat(1.33314422036e-1));
  p = madd(p, z, splat(-3.33332819422e-1));
  p = madd(f32x4.mul(p, z), a, a);
  const e = exp4(f32x4.add(a, a));
  const far = f32x4.sub(splat(1), f32x4.div(splat(2), f32x4.add(e, splat(1))));
  // The sign comes last: the polynomial's sum would lose that of −0.
  return v128.or(select(f32x4.lt(a, splat(0.625)), p, far), v128.and(x, bits(0x80000000)));
}
