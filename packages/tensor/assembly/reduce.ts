/**
 * Sums, sums of squares and maxima over some dimensions. Sums run in float64 throughout, in an
 * order that depends on the shape alone, so they are reproducible and good to float32's last place.
 *
 * `how` is [outer kept rank, sizes…, strides…, outer reduced rank, sizes…, strides…, inner size] in
 * 32-bit words: the dimensions but the innermost, sorted by what becomes of them. The innermost is
 * reduced (`rows`) or kept (`columns`).
 */

import { doubles, pairOf, quad, QUADS, splatWidened, VECTOR, widen, widened } from './simd';

export const SUM: i32 = 0;
export const SQUARES: i32 = 1;
export const MAX: i32 = 2;

// @ts-ignore: decorator
@inline
const LOWEST: f64 = -Infinity;

/** The next offset in bytes over the outer `axes` dimensions of a space, or DONE. */
function advance(space: usize, axes: i32, counter: usize, offset: usize): usize {
  const sizes = space + 4;
  const strides = sizes + ((<usize>load<i32>(space)) << 2);
  for (let axis = axes - 1; axis >= 0; axis--) {
    const at = (<usize>axis) << 2;
    const n = load<i32>(sizes + at);
    const stride = load<i32>(strides + at);
    const i = load<i32>(counter + at) + 1;
    offset += (<usize>stride) << 2;
    if (i < n) {
      store<i32>(counter + at, i);
      return offset;
    }
    store<i32>(counter + at, 0);
    offset -= (<usize>(n * stride)) << 2;
  }
  return DONE;
}

// @ts-ignore: decorator
@inline
const DONE: usize = 0xffffffff;

// @ts-ignore: decorator
@inline
function combine(op: i32, acc: widened, x: widened): widened {
  if (op == MAX) return f64x2.max(acc, x);
  return f64x2.add(acc, op == SQUARES ? f64x2.mul(x, x) : x);
}

/** Bytes of half a vector. */
const HALF: usize = VECTOR / 2;

/** One of the four pairs of eight doubles, which lie in as many vectors as it takes. */
// @ts-ignore: decorator
@inline
function pair(index: i32, a: widened, b: widened, c: widened, d: widened): doubles {
  const at = index / QUADS;
  return pairOf(at == 0 ? a : at == 1 ? b : at == 2 ? c : d, index % QUADS);
}

/** One contiguous row. */
// @ts-ignore: decorator
@inline
function line(op: i32, from: usize, size: i32): f64 {
  const start = op == MAX ? LOWEST : 0;
  let a = splatWidened(start);
  let b = a;
  let c = a;
  let d = a;
  let i = 0;
  for (; i + 8 <= size; i += 8) {
    a = combine(op, a, widen(from));
    if (QUADS < 4) b = combine(op, b, widen(from + HALF));
    if (QUADS < 2) {
      c = combine(op, c, widen(from + 2 * HALF));
      d = combine(op, d, widen(from + 3 * HALF));
    }
    from += 32;
  }
  let rest = f64x2.extract_lane(pair(0, a, b, c, d), 0);
  for (; i < size; i++) {
    const x = <f64>load<f32>(from);
    if (op == MAX) rest = max(rest, x);
    else rest += op == SQUARES ? x * x : x;
    from += 4;
  }
  const first = f64x2.replace_lane(pair(0, a, b, c, d), 0, rest);
  const second = pair(1, a, b, c, d);
  const third = pair(2, a, b, c, d);
  const fourth = pair(3, a, b, c, d);
  if (op == MAX) {
    const most = f64x2.max(f64x2.max(first, second), f64x2.max(third, fourth));
    return max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1));
  }
  const sum = f64x2.add(f64x2.add(first, second), f64x2.add(third, fourth));
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

// @ts-ignore: decorator
@inline
function rows(op: i32, from: usize, to: usize, kept: usize, reduced: usize, size: i32, counter: usize): void {
  const keptRank = load<i32>(kept);
  const reducedRank = load<i32>(reduced);
  let base: usize = 0;
  do {
    let acc = op == MAX ? LOWEST : 0;
    let offset: usize = 0;
    do {
      const part = line(op, from + base + offset, size);
      if (op == MAX) acc = max(acc, part);
      else acc += part;
      offset = advance(reduced, reducedRank, counter + 64, offset);
    } while (offset != DONE);
    store<f32>(to, <f32>acc);
    to += 4;
    base = advance(kept, keptRank, counter, base);
  } while (base != DONE);
}

/** The last of `count` floats, those beyond whole vectors: what follows may be another thread's. */
// @ts-ignore: decorator
@inline
function storeRest(to: usize, v: quad, count: i32): void {
  to += (<usize>(count & ~3)) << 2;
  const rest = count & 3;
  if (rest > 0) v128.store32_lane(to, v, 0);
  if (rest > 1) v128.store32_lane(to + 4, v, 1);
  if (rest > 2) v128.store32_lane(to + 8, v, 2);
}

// @ts-ignore: decorator
@inline
function floats(low: doubles, high: doubles): quad {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** Eight neighbouring columns at once over all that is reduced. */
// @ts-ignore: decorator
@inline
function columns(op: i32, from: usize, to: usize, kept: usize, reduced: usize, size: i32, counter: usize): void {
  const start = splatWidened(op == MAX ? LOWEST : 0);
  const keptRank = load<i32>(kept);
  const reducedRank = load<i32>(reduced);
  // The last of the reduced dimensions is a plain loop: the odometer costs more than a step of it.
  const last = max(0, reducedRank - 1);
  const inner = reduced + 4 + ((<usize>last) << 2);
  const steps = reducedRank > 0 ? load<i32>(inner) : 1;
  const step = reducedRank > 0 ? (<usize>load<i32>(inner + ((<usize>reducedRank) << 2))) << 2 : 0;
  let base: usize = 0;
  do {
    for (let i = 0; i < size; i += 8) {
      const column = from + base + ((<usize>i) << 2);
      let a = start;
      let b = start;
      let c = start;
      let d = start;
      let offset: usize = 0;
      do {
        let at = column + offset;
        for (let k = 0; k < steps; k++) {
          a = combine(op, a, widen(at));
          if (QUADS < 4) b = combine(op, b, widen(at + HALF));
          if (QUADS < 2) {
            c = combine(op, c, widen(at + 2 * HALF));
            d = combine(op, d, widen(at + 3 * HALF));
          }
          at += step;
        }
        offset = advance(reduced, last, counter + 64, offset);
      } while (offset != DONE);
      const left = floats(pair(0, a, b, c, d), pair(1, a, b, c, d));
      const right = floats(pair(2, a, b, c, d), pair(3, a, b, c, d));
      const target = to + ((<usize>i) << 2);
      if (i + 4 <= size) v128.store(target, left);
      if (i + 8 <= size) v128.store(target, right, 16);
      else storeRest(target, i + 4 <= size ? right : left, size - i);
    }
    to += (<usize>size) << 2;
    base = advance(kept, keptRank, counter, base);
  } while (base != DONE);
}

/** `counter` is room for 32 words. */
export function reduce(op: i32, innerReduced: i32, from: usize, to: usize, how: usize, counter: usize): void {
  memory.fill(counter, 0, 128);
  const kept = how;
  const reduced = kept + 4 + ((<usize>load<i32>(kept)) << 3);
  const size = load<i32>(reduced + 4 + ((<usize>load<i32>(reduced)) << 3));
  if (innerReduced) {
    if (op == SUM) rows(SUM, from, to, kept, reduced, size, counter);
    else if (op == SQUARES) rows(SQUARES, from, to, kept, reduced, size, counter);
    else rows(MAX, from, to, kept, reduced, size, counter);
  } else {
    if (op == SUM) columns(SUM, from, to, kept, reduced, size, counter);
    else if (op == SQUARES) columns(SQUARES, from, to, kept, reduced, size, counter);
    else columns(MAX, from, to, kept, reduced, size, counter);
  }
}

/** The sums of the rows from `first` to `last`, `size` floats each, as doubles. */
export function sumRows(from: usize, sums: usize, size: i32, first: i32, last: i32): void {
  for (let row = first; row < last; row++) {
    const sum = line(SUM, from + ((<usize>row * <usize>size) << 2), size);
    store<f64>(sums + ((<usize>row) << 3), sum);
  }
}

/**
 * to[i, j] = factor·Σ over k of the doubles [outer, reduced, inner], k being the middle axis: what
 * was summed in pieces is added up.
 */
export function addRows(sums: usize, to: usize, outer: i32, reduced: i32, inner: i32, factor: f64): void {
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      let total: f64 = 0;
      for (let k = 0; k < reduced; k++) {
        total += load<f64>(sums + ((<usize>((i * reduced + k) * inner + j)) << 3));
      }
      store<f32>(to, <f32>(factor * total));
      to += 4;
    }
  }
}
