/**
 * Two-dimensional wave fields by leapfrog, u⁺ = u + β(u − u⁻) + γ(Δu + q) with an 8th-order Laplacian, over as many
 * time steps and rows as a call is given: what is injected, recorded, scattered, kept and correlated on the way is
 * done in the same pass. A field is two planes, which take turns being the newer one.
 *
 * A plane has `rows` rows of `pitch` floats, a multiple of a vector's, between HALO rows of zeros above and below;
 * behind each row are at least HALO zeros, which the next row has before it. β and γ are planes without those rows, and
 * zero where there are no cells: zeros stay zeros, so loops run over whole rows. The image is what is within
 * `border` cells.
 *
 * A module of its own, which pages load that use it. Left out: which steps and rows make a part (src/wasm/leapfrog.ts).
 */
import { LANES, loadSome, madd, splat, storeSome, VECTOR } from './simd';

/** Cells that the Laplacian reaches to either side. */
const HALO: i32 = 4;

/** 2⁻⁸⁴: what is less than 2⁻¹⁰⁸ is lost beside it. */
const SMALL: f32 = 5.169878828456423e-26;

/** Points of the image where fields are read, or driven: `taps` cells with weights each. */
@unmanaged
class Points {
  /** Numbers [fields, samples, channels]. */
  series: usize;
  samples: i32;
  channels: i32;
  taps: i32;
  /** Time steps from one sample to the next. */
  every: i32;
  /** Cells of the image, [channels, taps]. */
  cells: usize;
  weights: usize;
}

/** What one call of the operation does, as src/wasm/leapfrog.ts writes it. */
@unmanaged
class Leapfrog {
  /** Two planes for each field. */
  planes: usize;
  decay: usize;
  gain: usize;
  media: i32;
  /** Fields to a sample, each of which has its medium, and the last one's where there are fewer. */
  shots: i32;
  rows: i32;
  pitch: i32;
  border: i32;
  height: i32;
  width: i32;
  steps: i32;
  /** Does time run backwards? */
  reverse: i32;
  center: f32;
  z1: f32;
  z2: f32;
  z3: f32;
  z4: f32;
  x1: f32;
  x2: f32;
  x3: f32;
  x4: f32;
  /** `Points` each; 0 where there are none. */
  inject: usize;
  record: usize;
  /** [samples, height, width], and what it multiplies, [fields, steps − 1, height, width]; 0 where there is none. */
  scatter: usize;
  scattered: usize;
  scatteredFields: i32;
  keep: usize;
  /** [fields, height, width], and what the field is multiplied with. */
  image: usize;
  correlated: usize;
  correlatedFields: i32;
}

/** A vector, or as many floats as are left of a row. */
// @ts-ignore: decorator
@inline
function read(whole: bool, from: usize, count: i32): v128 {
  return whole ? v128.load(from) : loadSome(from, 4, count);
}

// @ts-ignore: decorator
@inline
function write(whole: bool, to: usize, v: v128, count: i32): void {
  if (whole) v128.store(to, v);
  else storeSome(to, v, count);
}

/**
 * Zero for what is less than 2⁻¹⁰⁸, of the rest at most 2⁻¹⁰⁸ less or more: before a front, and behind it, numbers would
 * fade into subnormal ones, which processors multiply a hundred times as slowly.
 */
// @ts-ignore: decorator
@inline
function without(small: v128, v: v128): v128 {
  return f32x4.sub(f32x4.add(v, small), small);
}

/** u⁺ in the place of u⁻ along a row; leaves γΔu in `line`. */
function advance(plan: Leapfrog, current: usize, previous: usize, medium: usize, row: i32, line: usize): void {
  const p1 = (<usize>plan.pitch) << 2;
  const p2 = p1 << 1;
  const p3 = p1 + p2;
  const p4 = p2 << 1;
  const center = splat(plan.center);
  const z1 = splat(plan.z1);
  const z2 = splat(plan.z2);
  const z3 = splat(plan.z3);
  const z4 = splat(plan.z4);
  const x1 = splat(plan.x1);
  const x2 = splat(plan.x2);
  const x3 = splat(plan.x3);
  const x4 = splat(plan.x4);
  const small = splat(SMALL);
  let above = current + <usize>row * p1;
  let at = above + p4;
  let below = at + p1;
  let from = previous + <usize>(row + HALO) * p1;
  let decay = plan.decay + medium + <usize>row * p1;
  let gain = plan.gain + medium + <usize>row * p1;
  const end = at + p1;
  for (; at < end; at += VECTOR) {
    const u = v128.load(at);
    const left = at - 16;
    let x = f32x4.mul(x1, f32x4.add(v128.load(left, 12), v128.load(left, 20)));
    let z = f32x4.mul(z1, f32x4.add(v128.load(above + p3), v128.load(below)));
    x = madd(x2, f32x4.add(v128.load(left, 8), v128.load(left, 24)), x);
    z = madd(z2, f32x4.add(v128.load(above + p2), v128.load(below + p1)), z);
    x = madd(x3, f32x4.add(v128.load(left, 4), v128.load(left, 28)), x);
    z = madd(z3, f32x4.add(v128.load(above + p1), v128.load(below + p2)), z);
    x = madd(x4, f32x4.add(v128.load(left), v128.load(left, 32)), x);
    z = madd(z4, f32x4.add(v128.load(above), v128.load(below + p3)), z);
    const g = f32x4.mul(v128.load(gain), madd(center, u, f32x4.add(x, z)));
    v128.store(line, g);
    const moved = madd(v128.load(decay), f32x4.sub(u, v128.load(from)), u);
    v128.store(from, without(small, f32x4.add(moved, g)));
    above += VECTOR;
    below += VECTOR;
    from += VECTOR;
    decay += VECTOR;
    gain += VECTOR;
    line += VECTOR;
  }
}

/** What happens within a row of the image, of which `count` floats from each address on are taken. */
// @ts-ignore: decorator
@inline
function within(
  whole: bool,
  count: i32,
  to: usize,
  line: usize,
  scatter: usize,
  scattered: usize,
  keep: usize,
  image: usize,
  correlated: usize,
): void {
  let u = read(whole, to, count);
  let a = read(whole, line, count);
  if (scatter) {
    const q = f32x4.mul(read(whole, scatter, count), read(whole, scattered, count));
    u = without(splat(SMALL), f32x4.add(u, q));
    a = f32x4.add(a, q);
    write(whole, to, u, count);
  }
  if (keep) write(whole, keep, without(splat(SMALL), a), count);
  if (image) write(whole, image, madd(u, read(whole, correlated, count), read(whole, image, count)), count);
}

/** An address some bytes on, unless it is none. */
// @ts-ignore: decorator
@inline
function on(address: usize, bytes: usize): usize {
  return address ? address + bytes : 0;
}

/** The numbers of step `e` of a field in an array [fields, steps − 1, height, width]; none where there is no such step. */
// @ts-ignore: decorator
@inline
function stepOf(plan: Leapfrog, array: usize, field: i32, e: i32): usize {
  if (e < 0 || e >= plan.steps - 1) return 0;
  const size = (<usize>(plan.height * plan.width)) << 2;
  return on(array, (<usize>field * <usize>(plan.steps - 1) + <usize>e) * size);
}

/** Reads the field at time t where the first of a point's cells lies in the rows. */
function recordAt(plan: Leapfrog, current: usize, field: i32, t: i32, top: i32, bottom: i32): void {
  if (plan.record == 0) return;
  const points = changetype<Points>(plan.record);
  if (t % points.every) return;
  const count = points.channels;
  let to = points.series + ((<usize>((field * points.samples + t / points.every) * count)) << 2);
  let cells = points.cells;
  let weights = points.weights;
  for (let c = 0; c < count; c++) {
    const row = load<i32>(cells) / plan.width + plan.border;
    if (row >= top && row < bottom) {
      let sum: f32 = 0;
      for (let tap = 0; tap < points.taps; tap++) {
        const cell = load<i32>(cells + ((<usize>tap) << 2));
        const at = ((cell / plan.width + plan.border + HALO) * plan.pitch + (cell % plan.width) + plan.border);
        sum = sum + load<f32>(weights + ((<usize>tap) << 2)) * load<f32>(current + ((<usize>at) << 2));
      }
      store<f32>(to, sum);
    }
    cells += (<usize>points.taps) << 2;
    weights += (<usize>points.taps) << 2;
    to += 4;
  }
}

/** Drives the cells that lie in the rows with the numbers of time t, as if that had been done with the Laplacian. */
function injectAt(
  plan: Leapfrog,
  next: usize,
  medium: usize,
  field: i32,
  t: i32,
  keep: usize,
  image: usize,
  correlated: usize,
  top: i32,
  bottom: i32,
): void {
  if (plan.inject == 0) return;
  const points = changetype<Points>(plan.inject);
  if (t % points.every) return;
  const count = points.channels;
  let from = points.series + ((<usize>((field * points.samples + t / points.every) * count)) << 2);
  let cells = points.cells;
  let weights = points.weights;
  const gain = plan.gain + medium;
  for (let c = 0; c < count; c++) {
    const amplitude = load<f32>(from);
    for (let tap = 0; tap < points.taps; tap++) {
      const cell = load<i32>(cells);
      const row = cell / plan.width + plan.border;
      if (row >= top && row < bottom) {
        const at = (<usize>(row * plan.pitch + (cell % plan.width) + plan.border)) << 2;
        const to = next + at + ((<usize>(HALO * plan.pitch)) << 2);
        const q = load<f32>(gain + at) * (load<f32>(weights) * amplitude);
        store<f32>(to, load<f32>(to) + q);
        const i = (<usize>cell) << 2;
        if (keep) store<f32>(keep + i, load<f32>(keep + i) + q);
        if (image) store<f32>(image + i, load<f32>(image + i) + q * load<f32>(correlated + i));
      }
      cells += 4;
      weights += 4;
    }
    from += 4;
  }
}

/**
 * The steps from `begin` to `end`, counted in the direction of time, of the fields from `first` to `last`, in the rows
 * from `top` to `bottom` of their planes. Where those are not all rows, steps are parts one after the other.
 * `line` is a row of a plane, the caller's own.
 */
export function leapfrog(
  plan: Leapfrog,
  first: i32,
  last: i32,
  begin: i32,
  end: i32,
  top: i32,
  bottom: i32,
  line: usize,
): void {
  const plane = (<usize>((plan.rows + 2 * HALO) * plan.pitch)) << 2;
  const row = (<usize>plan.width) << 2;
  const size = <usize>plan.height * row;
  const lead = (<usize>plan.border) << 2;
  for (let field = first; field < last; field++) {
    const sample = field / plan.shots;
    const medium = ((<usize>(min(sample, plan.media - 1) * plan.rows * plan.pitch)) << 2);
    const planes = plan.planes + 2 * <usize>field * plane;
    const scatter = on(plan.scatter, <usize>sample * size);
    const image = on(plan.image, <usize>field * size);
    for (let step = begin; step < end; step++) {
      const odd = <usize>(step & 1);
      const previous = planes + odd * plane;
      const current = planes + (1 - odd) * plane;
      const t = plan.reverse ? plan.steps - 1 - step : step;
      const e = plan.reverse ? t - 1 : t;
      const keep = stepOf(plan, plan.keep, field, e);
      const scattered = scatter ? stepOf(plan, plan.scattered, field % plan.scatteredFields, e) : 0;
      const correlated = image ? stepOf(plan, plan.correlated, field % plan.correlatedFields, e) : 0;
      const busy = keep != 0 || scattered != 0 || correlated != 0;
      recordAt(plan, current, field, t, top, bottom);
      for (let r = top; r < bottom; r++) {
        advance(plan, current, previous, medium, r, line);
        const y = r - plan.border;
        if (!busy || y < 0 || y >= plan.height) continue;
        const begins = <usize>y * row;
        let to = previous + ((<usize>((r + HALO) * plan.pitch)) << 2) + lead;
        let a = line + lead;
        let i = begins;
        const ends = begins + row;
        for (; i + VECTOR <= ends; i += VECTOR) {
          within(
            true, LANES, to, a, scattered ? scatter + i : 0, scattered + i, on(keep, i),
            correlated ? image + i : 0, correlated + i,
          );
          to += VECTOR;
          a += VECTOR;
        }
        const left = <i32>((ends - i) >> 2);
        if (left > 0) {
          within(
            false, left, to, a, scattered ? scatter + i : 0, scattered + i, on(keep, i),
            correlated ? image + i : 0, correlated + i,
          );
        }
      }
      injectAt(plan, previous, medium, field, t, keep, correlated ? image : 0, correlated, top, bottom);
    }
  }
}
