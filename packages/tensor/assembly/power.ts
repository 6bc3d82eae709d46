/**
 * xᵉ of floats for one finite exponent, number by number and in doubles: e^(e log |x|), with the sign and the limits
 * that IEEE's pow has. The double is within 1e−12 of the result, relatively, so nearly every float is the rounded one.
 *
 * Left out: vectors, and native code, for which it is used too seldom: there it is WebAssembly as well.
 */

const LN2: f64 = 0.6931471805599453;
const SQRT2: f64 = 1.4142135623730951;
const MANTISSA: u64 = 0x000fffffffffffff;
const ONE: u64 = 0x3ff0000000000000;

export function power(from: usize, to: usize, size: i32, exponent: f64): void {
  const whole = Math.floor(exponent) == exponent;
  // Doubles of 2⁵³ and more are even.
  const odd = whole && abs(exponent) < 9007199254740992 && ((<i64>exponent) & 1) != 0;
  const end = to + ((<usize>size) << 2);
  for (; to < end; to += 4) {
    const x = <f64>load<f32>(from);
    // Also of NaN, the power of exponent 0 is 1; log 0 is −∞, and NaN stays.
    let y: f64 = 1;
    if (exponent == 2) y = x * x;
    else if (exponent != 0) y = exponential(exponent * logarithm(abs(x)));
    // −0 counts as negative.
    if (reinterpret<i64>(x) < 0) {
      if (odd) y = -y;
      else if (!whole && x < 0 && x > -Infinity) y = NaN;
    }
    store<f32>(to, <f32>y);
    from += 4;
  }
}

/** log x of 0, ∞, NaN, and of doubles that are no subnormals, as no float is. */
function logarithm(x: f64): f64 {
  if (x == 0) return -Infinity;
  if (!(x < Infinity)) return x;
  const bits = reinterpret<u64>(x);
  let n = <f64>(<i64>(bits >> 52) - 1023);
  let m = reinterpret<f64>((bits & MANTISSA) | ONE);
  if (m > SQRT2) {
    m *= 0.5;
    n += 1;
  }
  // log m = 2 artanh s by its series, |s| ≤ 0.172.
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let sum: f64 = 1.0 / 17 + z * (1.0 / 19);
  sum = 1.0 / 13 + z * (1.0 / 15 + z * sum);
  sum = 1.0 / 9 + z * (1.0 / 11 + z * sum);
  sum = 1.0 / 5 + z * (1.0 / 7 + z * sum);
  sum = 1 + z * (1.0 / 3 + z * sum);
  return n * LN2 + 2 * s * sum;
}

/** eʸ within the range of floats, 0 or ∞ beyond it. */
function exponential(y: f64): f64 {
  if (!(y > -120)) return y != y ? y : 0;
  if (y > 90) return Infinity;
  const n = nearest(y * (1 / LN2));
  // eʳ − 1 by its series at a sixteenth of |y − n log 2| ≤ 0.347, and doubled as often as that takes.
  const r = (y - n * LN2) * 0.0625;
  let sum: f64 = 1 + r * (1.0 / 6) * (1 + r * (1.0 / 7));
  sum = 1 + r * (1.0 / 4) * (1 + r * (1.0 / 5) * sum);
  sum = r * (1 + r * (1.0 / 2) * (1 + r * (1.0 / 3) * sum));
  for (let i = 0; i < 4; i++) sum *= 2 + sum;
  sum += 1;
  return sum * reinterpret<f64>(<u64>(<i64>n + 1023) << 52);
}
