/**
 * Moves numbers without changing them: permutation of axes, slices and concatenation.
 *
 * `how` of a permutation is [rank, sizes of the result…, strides of the operand…] in 32-bit words.
 */
import { LANES, loadQuads, loadSome, splat, storeQuads, storeSome, VECTOR } from './simd';

/** To the last float exactly: what follows may be another thread's. */
// @ts-ignore: decorator
@inline
export function copyExactly(to: usize, from: usize, count: i32): void {
  for (; count >= LANES; count -= LANES) {
    v128.store(to, v128.load(from));
    from += VECTOR;
    to += VECTOR;
  }
  if (count > 0) storeSome(to, loadSome(from, 4, count), count);
}

// @ts-ignore: decorator
@inline
function copyRow(from: usize, stride: i32, to: usize, size: i32): void {
  if (stride == 1) copyExactly(to, from, size);
  else if (stride == 2) {
    // The squeezes: every other pixel of a row.
    let i = 0;
    for (; i + LANES < size; i += LANES) {
      v128.store(to, v128.shuffle<f32>(loadQuads(from, 32), loadQuads(from + 16, 32), 0, 2, 4, 6));
      from += 2 * VECTOR;
      to += VECTOR;
    }
    for (; i < size; i++) {
      store<f32>(to, load<f32>(from));
      from += 8;
      to += 4;
    }
  } else {
    const step = (<usize>stride) << 2;
    const end = to + ((<usize>size) << 2);
    for (; to < end; to += 4) {
      store<f32>(to, load<f32>(from));
      from += step;
    }
  }
}

/** Two lines of the operand, one float of each in turn: what undoes a squeeze. */
function interleave(first: usize, second: usize, to: usize, size: i32): void {
  let i = 0;
  for (; i + LANES <= size; i += LANES) {
    const a = v128.load(first);
    const b = v128.load(second);
    storeQuads(to, 32, v128.shuffle<f32>(a, b, 0, 4, 1, 5));
    storeQuads(to + 16, 32, v128.shuffle<f32>(a, b, 2, 6, 3, 7));
    first += VECTOR;
    second += VECTOR;
    to += 2 * VECTOR;
  }
  for (; i < size; i++) {
    store<f32>(to, load<f32>(first));
    store<f32>(to, load<f32>(second), 4);
    first += 4;
    second += 4;
    to += 8;
  }
}

/** `counter` is room for one word per dimension. */
export function permute(from: usize, to: usize, how: usize, counter: usize): void {
  const rank = load<i32>(how);
  const sizes = how + 4;
  const strides = sizes + ((<usize>rank) << 2);
  const last = (<usize>(rank - 1)) << 2;
  const size = load<i32>(sizes + last);
  const inner = load<i32>(strides + last);
  // The last two dimensions run without the odometer, which matters where the last one is short.
  const rows = rank > 1 ? load<i32>(sizes + last - 4) : 1;
  const rowStride = rank > 1 ? load<i32>(strides + last - 4) : 0;
  const pairs = size == 2 && rowStride == 1;
  memory.fill(counter, 0, last + 4);
  while (true) {
    if (pairs) {
      interleave(from, from + ((<usize>inner) << 2), to, rows);
      to += (<usize>rows) << 3;
    } else {
      let row = from;
      for (let i = 0; i < rows; i++) {
        copyRow(row, inner, to, size);
        row += (<usize>rowStride) << 2;
        to += (<usize>size) << 2;
      }
    }
    let axis = rank - 3;
    for (; axis >= 0; axis--) {
      const at = (<usize>axis) << 2;
      const n = load<i32>(sizes + at);
      const stride = load<i32>(strides + at);
      const i = load<i32>(counter + at) + 1;
      from += (<usize>stride) << 2;
      if (i < n) {
        store<i32>(counter + at, i);
        break;
      }
      store<i32>(counter + at, 0);
      from -= (<usize>(n * stride)) << 2;
    }
    if (axis < 0) return;
  }
}

/** `count` runs of `bytes` bytes, with a pitch on either side: both slices and concatenation. */
export function copyRuns(from: usize, fromPitch: usize, to: usize, toPitch: usize, bytes: usize, count: i32): void {
  for (let i = 0; i < count; i++) {
    memory.copy(to, from, bytes);
    from += fromPitch;
    to += toPitch;
  }
}

export function fill(to: usize, size: i32, value: f32): void {
  const v = splat(value);
  for (let i = 0; i < size; i += LANES) {
    v128.store(to, v);
    to += VECTOR;
  }
}
