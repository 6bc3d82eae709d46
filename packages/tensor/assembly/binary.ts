/**
 * Element-wise functions of two arguments with broadcasting: an inner loop for each way that two
 * rows can meet, and an odometer over the outer dimensions. The order of the codes is that of
 * `binaryCodes` in src/wasm/codes.ts.
 *
 * `how` is [rank, sizes…, strides of a…, strides of b…] in 32-bit words. Rows are written to the last
 * float exactly: what follows may be another thread's.
 */
import { LANES, loadSome, select, splat, storeSome, VECTOR } from './simd';

// @ts-ignore: decorator
@inline
function apply(op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case 0:
      return f32x4.add(a, b);
    case 1:
      return f32x4.div(a, b);
    case 2:
      return f32x4.max(a, b);
    case 3:
      return f32x4.min(a, b);
    case 4:
      return f32x4.mul(a, b);
    case 5:
      return select(f32x4.gt(a, splat(0)), b, splat(0));
    case 6:
      return f32x4.mul(b, f32x4.mul(a, f32x4.sub(splat(1), a)));
    case 7:
      return f32x4.sub(a, b);
    default:
      // (1 − a)(1 + a) where 1 − a² would lose the digits of a near ±1.
      return f32x4.mul(b, f32x4.mul(f32x4.sub(splat(1), a), f32x4.add(splat(1), a)));
  }
}

// @ts-ignore: decorator
@inline
function row(op: i32, a: usize, aStride: i32, b: usize, bStride: i32, to: usize, size: i32): void {
  const aStep = (<usize>aStride) << 2;
  const bStep = (<usize>bStride) << 2;
  let i = 0;
  if (aStride == 1 && bStride == 1) {
    for (; i + LANES <= size; i += LANES) {
      v128.store(to, apply(op, v128.load(a), v128.load(b)));
      a += VECTOR;
      b += VECTOR;
      to += VECTOR;
    }
  } else if (aStride == 1 && bStride == 0) {
    const right = v128.load32_splat(b);
    for (; i + LANES <= size; i += LANES) {
      v128.store(to, apply(op, v128.load(a), right));
      a += VECTOR;
      to += VECTOR;
    }
  } else if (aStride == 0 && bStride == 1) {
    const left = v128.load32_splat(a);
    for (; i + LANES <= size; i += LANES) {
      v128.store(to, apply(op, left, v128.load(b)));
      b += VECTOR;
      to += VECTOR;
    }
  } else {
    for (; i + LANES <= size; i += LANES) {
      v128.store(to, apply(op, loadSome(a, aStep, LANES), loadSome(b, bStep, LANES)));
      a += <usize>LANES * aStep;
      b += <usize>LANES * bStep;
      to += VECTOR;
    }
  }
  const rest = size - i;
  if (rest > 0) storeSome(to, apply(op, loadSome(a, aStep, rest), loadSome(b, bStep, rest)), rest);
}

// @ts-ignore: decorator
@inline
function each(op: i32, a: usize, b: usize, to: usize, how: usize, counter: usize): void {
  const rank = load<i32>(how);
  const sizes = how + 4;
  const aStrides = sizes + ((<usize>rank) << 2);
  const bStrides = aStrides + ((<usize>rank) << 2);
  const last = (<usize>(rank - 1)) << 2;
  const size = load<i32>(sizes + last);
  const aInner = load<i32>(aStrides + last);
  const bInner = load<i32>(bStrides + last);
  memory.fill(counter, 0, last + 4);
  while (true) {
    row(op, a, aInner, b, bInner, to, size);
    to += (<usize>size) << 2;
    let axis = rank - 2;
    for (; axis >= 0; axis--) {
      const at = (<usize>axis) << 2;
      const n = load<i32>(sizes + at);
      const i = load<i32>(counter + at) + 1;
      a += (<usize>load<i32>(aStrides + at)) << 2;
      b += (<usize>load<i32>(bStrides + at)) << 2;
      if (i < n) {
        store<i32>(counter + at, i);
        break;
      }
      store<i32>(counter + at, 0);
      a -= (<usize>(n * load<i32>(aStrides + at))) << 2;
      b -= (<usize>(n * load<i32>(bStrides + at))) << 2;
    }
    if (axis < 0) return;
  }
}

/** `counter` is room for one word per dimension. */
export function binary(op: i32, a: usize, b: usize, to: usize, how: usize, counter: usize): void {
  switch (op) {
    case 0:
      return each(0, a, b, to, how, counter);
    case 1:
      return each(1, a, b, to, how, counter);
    case 2:
      return each(2, a, b, to, how, counter);
    case 3:
      return each(3, a, b, to, how, counter);
    case 4:
      return each(4, a, b, to, how, counter);
    case 5:
      return each(5, a, b, to, how, counter);
    case 6:
      return each(6, a, b, to, how, counter);
    case 7:
      return each(7, a, b, to, how, counter);
    default:
      return each(8, a, b, to, how, counter);
  }
}
