/**
 * W = H(v₁)H(v₂)H(v₃) with H(v) = I − 2vvᵀ/vᵀv, and the gradients of the vectors, by the compact form
 * W = I − UᵀTU of docs/math/linear/conv1x1.md. Sums are in double precision.
 *
 * `rows` is room for 9·size doubles: U, TU and TᵀU, three rows of `size` each.
 */

// @ts-ignore: decorator
@inline
function dot(a: usize, b: usize, bytes: usize): f64 {
  let sum: f64 = 0;
  for (let i: usize = 0; i < bytes; i += 8) sum += load<f64>(a + i) * load<f64>(b + i);
  return sum;
}

/** Writes uₖ = √2 vₖ/|vₖ|, and returns √2/|vₖ|. */
function normalize(v: usize, size: i32, u: usize): f64 {
  let square: f64 = 0;
  for (let i = 0; i < size; i++) {
    const x = <f64>load<f32>(v + ((<usize>i) << 2));
    square += x * x;
  }
  const root = Math.sqrt(2 / square);
  for (let i = 0; i < size; i++) {
    store<f64>(u + ((<usize>i) << 3), root * <f64>load<f32>(v + ((<usize>i) << 2)));
  }
  return root;
}

/** U, TU and TᵀU of vectors that are normalized: T = (I + S)⁻¹, S being UUᵀ above the diagonal. */
function compact(rows: usize, size: i32): void {
  const bytes = (<usize>size) << 3;
  const s01 = dot(rows, rows + bytes, bytes);
  const s02 = dot(rows, rows + 2 * bytes, bytes);
  const s12 = dot(rows + bytes, rows + 2 * bytes, bytes);
  const t02 = s01 * s12 - s02;
  for (let i: usize = 0; i < bytes; i += 8) {
    const a = load<f64>(rows + i);
    const b = load<f64>(rows + bytes + i);
    const c = load<f64>(rows + 2 * bytes + i);
    const tu = rows + 3 * bytes + i;
    store<f64>(tu, a - s01 * b + t02 * c);
    store<f64>(tu + bytes, b - s12 * c);
    store<f64>(tu + 2 * bytes, c);
    const ut = rows + 6 * bytes + i;
    store<f64>(ut, a);
    store<f64>(ut + bytes, b - s01 * a);
    store<f64>(ut + 2 * bytes, c - s12 * b + t02 * a);
  }
}

export function reflections(v1: usize, v2: usize, v3: usize, w: usize, size: i32, rows: usize): void {
  const bytes = (<usize>size) << 3;
  normalize(v1, size, rows);
  normalize(v2, size, rows + bytes);
  normalize(v3, size, rows + 2 * bytes);
  compact(rows, size);
  for (let i: usize = 0; i < bytes; i += 8) {
    const a = load<f64>(rows + i);
    const b = load<f64>(rows + bytes + i);
    const c = load<f64>(rows + 2 * bytes + i);
    for (let j: usize = 0; j < bytes; j += 8) {
      const tu = rows + 3 * bytes + j;
      const sum = a * load<f64>(tu) + b * load<f64>(tu + bytes) + c * load<f64>(tu + 2 * bytes);
      store<f32>(w, <f32>((i == j ? 1 : 0) - sum));
      w += 4;
    }
  }
}

/**
 * Ū = (M + Mᵀ)U − TᵀU G − TU Gᵀ with M = TᵀU G (TU)ᵀ above the diagonal, then v̄ = (√2/|v|)(ū − u(uᵀū)/2).
 * `more` is room for 3·size doubles.
 */
export function reflectionsBack(
  v1: usize,
  v2: usize,
  v3: usize,
  g: usize,
  d1: usize,
  d2: usize,
  d3: usize,
  size: i32,
  rows: usize,
  more: usize,
): void {
  const bytes = (<usize>size) << 3;
  const line = (<usize>size) << 2;
  const r1 = normalize(v1, size, rows);
  const r2 = normalize(v2, size, rows + bytes);
  const r3 = normalize(v3, size, rows + 2 * bytes);
  compact(rows, size);
  const tu = rows + 3 * bytes;
  const ut = rows + 6 * bytes;
  let m01: f64 = 0;
  let m02: f64 = 0;
  let m12: f64 = 0;
  for (let j = 0; j < size; j++) {
    let a: f64 = 0;
    let b: f64 = 0;
    let c: f64 = 0;
    let e: f64 = 0;
    let f: f64 = 0;
    let h: f64 = 0;
    const row = g + <usize>j * line;
    const column = g + ((<usize>j) << 2);
    for (let i = 0; i < size; i++) {
      const at = (<usize>i) << 3;
      const down = <f64>load<f32>(column + <usize>i * line);
      const along = <f64>load<f32>(row + ((<usize>i) << 2));
      a += load<f64>(ut + at) * down;
      b += load<f64>(ut + bytes + at) * down;
      c += load<f64>(ut + 2 * bytes + at) * down;
      e += load<f64>(tu + at) * along;
      f += load<f64>(tu + bytes + at) * along;
      h += load<f64>(tu + 2 * bytes + at) * along;
    }
    const at = (<usize>j) << 3;
    m01 += a * load<f64>(tu + bytes + at);
    m02 += a * load<f64>(tu + 2 * bytes + at);
    m12 += b * load<f64>(tu + 2 * bytes + at);
    store<f64>(more + at, -a - e);
    store<f64>(more + bytes + at, -b - f);
    store<f64>(more + 2 * bytes + at, -c - h);
  }
  for (let i: usize = 0; i < bytes; i += 8) {
    const a = load<f64>(rows + i);
    const b = load<f64>(rows + bytes + i);
    const c = load<f64>(rows + 2 * bytes + i);
    const to = more + i;
    store<f64>(to, load<f64>(to) + m01 * b + m02 * c);
    store<f64>(to + bytes, load<f64>(to + bytes) + m01 * a + m12 * c);
    store<f64>(to + 2 * bytes, load<f64>(to + 2 * bytes) + m02 * a + m12 * b);
  }
  finish(rows, more, r1, d1, bytes);
  finish(rows + bytes, more + bytes, r2, d2, bytes);
  finish(rows + 2 * bytes, more + 2 * bytes, r3, d3, bytes);
}

function finish(u: usize, du: usize, root: f64, to: usize, bytes: usize): void {
  const along = 0.5 * dot(u, du, bytes);
  for (let i: usize = 0; i < bytes; i += 8) {
    store<f32>(to, <f32>(root * (load<f64>(du + i) - along * load<f64>(u + i))));
    to += 4;
  }
}
