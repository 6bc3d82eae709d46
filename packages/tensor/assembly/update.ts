/** Updates in place: accumulation and the Adam step. */
import { LANES, loadSome, madd, splat, storeSome, VECTOR } from './simd';

export function accumulate(target: usize, x: usize, size: i32, alpha: f32): void {
  const a = splat(alpha);
  for (let i = 0; i < size; i += LANES) {
    v128.store(target, madd(a, v128.load(x), v128.load(target)));
    target += VECTOR;
    x += VECTOR;
  }
}

/**
 * target ← target + x for rows of `size` floats, those of target `pitch` floats apart; to the last
 * float exactly, for target has others behind a row.
 */
export function accumulateRows(target: usize, pitch: usize, x: usize, size: i32, first: i32, last: i32): void {
  let from = x + <usize>first * ((<usize>size) << 2);
  for (let row = first; row < last; row++) {
    let to = target + <usize>row * (pitch << 2);
    let i = size;
    for (; i >= LANES; i -= LANES) {
      v128.store(to, f32x4.add(v128.load(from), v128.load(to)));
      to += VECTOR;
      from += VECTOR;
    }
    if (i > 0) {
      storeSome(to, f32x4.add(loadSome(from, 4, i), loadSome(to, 4, i)), i);
      from += (<usize>i) << 2;
    }
  }
}

/** Words of a row of Adam's table: target, m, v, gradient, size, and two floats, rate and root. */
const ROW: usize = 7 * 4;

/**
 * Adam on the tensors of the rows from `first` to `last` of a table. A row's rate and root hold its
 * bias corrections: learningRate/(1 − β₁ᵗ) and 1/(1 − β₂ᵗ). `left` of a target is left before its step.
 */
export function adam(
  table: usize,
  beta1: f64,
  beta2: f64,
  epsilon: f32,
  scale: f32,
  left: f32,
  first: i32,
  last: i32,
): void {
  const keep1 = splat(<f32>beta1);
  const keep2 = splat(<f32>beta2);
  const take1 = splat(<f32>(1 - beta1));
  const take2 = splat(<f32>(1 - beta2));
  const eps = splat(epsilon);
  const scales = splat(scale);
  const lefts = splat(left);
  const end = table + <usize>last * ROW;
  for (let row = table + <usize>first * ROW; row < end; row += ROW) {
    let target = <usize>load<u32>(row);
    let m = <usize>load<u32>(row, 4);
    let v = <usize>load<u32>(row, 8);
    let grad = <usize>load<u32>(row, 12);
    const size = load<i32>(row, 16);
    const rates = v128.load32_splat(row, 20);
    const roots = v128.load32_splat(row, 24);
    for (let i = 0; i < size; i += LANES) {
      const g = f32x4.mul(scales, v128.load(grad));
      const m1 = madd(keep1, v128.load(m), f32x4.mul(take1, g));
      const v1 = madd(keep2, v128.load(v), f32x4.mul(take2, f32x4.mul(g, g)));
      const root = f32x4.add(f32x4.sqrt(f32x4.mul(v1, roots)), eps);
      const step = f32x4.div(f32x4.mul(rates, m1), root);
      v128.store(m, m1);
      v128.store(v, v1);
      v128.store(target, f32x4.sub(f32x4.mul(lefts, v128.load(target)), step));
      target += VECTOR;
      m += VECTOR;
      v += VECTOR;
      grad += VECTOR;
    }
  }
}
