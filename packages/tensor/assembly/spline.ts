/**
 * Rational-quadratic splines in one pass: x in its bin, y and the logarithm of the slope, or the other way round, and
 * the derivatives of both, with the state recomputed on the way. Mathematics: docs/math/transformers/splines.md
 *
 * Numbers lie in rows of `size`; each has `count` parameters, `size` apart, in a block of count·size for each row. A
 * vector is numbers side by side, of which each is in a bin of its own: what depends on the bin is selected while all
 * bins are walked.
 *
 * A module of its own, which pages load that use it. Left out: sums over samples, and who gives the parameters.
 */
import { exp4, log4, sigmoid4, softplus4 } from './math';
import { LANES, loadSome, madd, nmadd, select, splat, storeSome, VECTOR } from './simd';

/** What one call of the operation does, as src/wasm/spline.ts writes it. */
@unmanaged
class Spline {
  /** What is given, x or y, and the result, the other one. */
  given: usize;
  found: usize;
  p: usize;
  /** The logarithm of the slope of what was asked for, or the gradients of it, 0 where there are none. */
  log: usize;
  /** Gradients of the map's result, and of its argument and parameters. */
  from: usize;
  to: usize;
  dp: usize;
  size: i32;
  bins: i32;
  count: i32;
  /** Is y given? */
  fromY: i32;
  /** Is the map asked for the inverse? */
  inverse: i32;
  /** 0: the identity; 1: the same, on a circle; 2: the slope at the end. */
  tails: i32;
  low: f32;
  high: f32;
  /** Least widths and heights, and what the shares are multiplied with. */
  minWidth: f32;
  minHeight: f32;
  widthFactor: f32;
  heightFactor: f32;
  minSlope: f32;
  /** 1 less that, and where softplus has that value. */
  room: f32;
  offset: f32;
  /** 1/λ of soft clamps; 0 for none. */
  clamp: f32;
}

/** Places of vectors behind the exponentials of widths and of heights: those of an axis, and those of both. */
const START: i32 = 0;
const LENGTH: i32 = 1;
const SHARE: i32 = 2;
const BEFORE: i32 = 3;
const TOTAL: i32 = 4;
const AXIS: i32 = 5;
const INDEX: i32 = 10;
const LEFT: i32 = 11;
const RIGHT: i32 = 12;

/** A vector, or as many floats as are left of a row. */
// @ts-ignore: decorator
@inline
function read(from: usize, count: i32): v128 {
  return count == LANES ? v128.load(from) : loadSome(from, 4, count);
}

// @ts-ignore: decorator
@inline
function write(to: usize, v: v128, count: i32): void {
  if (count == LANES) v128.store(to, v);
  else storeSome(to, v, count);
}

// @ts-ignore: decorator
@inline
function place(base: usize, index: i32): usize {
  return base + <usize>index * VECTOR;
}

/** 1/(1 + c|u|) */
// @ts-ignore: decorator
@inline
function damping(u: v128, clamp: v128): v128 {
  return f32x4.div(splat(1), madd(f32x4.abs(u), clamp, splat(1)));
}

/** Leaves the exponentials of a softmax over bins at `to`, and returns their sum. */
// @ts-ignore: decorator
@inline
function exponentials(p: usize, pitch: usize, bins: i32, clamp: f32, count: i32, to: usize): v128 {
  const c = splat(2 * clamp);
  let most = splat(-f32.MAX_VALUE);
  for (let k = 0; k < bins; k++) {
    let u = read(p + <usize>k * pitch, count);
    if (clamp != 0) u = f32x4.mul(u, damping(u, c));
    most = f32x4.pmax(most, u);
    v128.store(place(to, k), u);
  }
  let sum = splat(0);
  for (let k = 0; k < bins; k++) {
    const e = exp4(f32x4.sub(v128.load(place(to, k)), most));
    sum = f32x4.add(sum, e);
    v128.store(place(to, k), e);
  }
  return sum;
}

/**
 * Finds the bin along an axis, of a number or of a given index: leaves its edge, its length, its exponential, and the
 * sum of those before it at `axis`, and returns its index.
 */
// @ts-ignore: decorator
@inline
function locate(
  byIndex: bool,
  by: v128,
  exponential: usize,
  sum: v128,
  bins: i32,
  low: v128,
  high: v128,
  least: v128,
  factor: v128,
  axis: usize,
): v128 {
  const scale = f32x4.div(factor, sum);
  let edge = low;
  let before = splat(0);
  let index = splat(0);
  let start = low;
  let length = splat(0);
  let share = splat(0);
  let preceding = splat(0);
  for (let k = 0; k < bins; k++) {
    const e = v128.load(place(exponential, k));
    // The last edge is the bound itself.
    const width = k == bins - 1 ? f32x4.sub(high, edge) : madd(e, scale, least);
    const here = splat(<f32>k);
    const reached = byIndex ? f32x4.ge(by, here) : f32x4.ge(by, edge);
    index = select(reached, here, index);
    start = select(reached, edge, start);
    length = select(reached, width, length);
    share = select(reached, e, share);
    preceding = select(reached, before, preceding);
    edge = f32x4.add(edge, width);
    before = f32x4.add(before, e);
  }
  v128.store(place(axis, START), start);
  v128.store(place(axis, LENGTH), length);
  v128.store(place(axis, SHARE), share);
  v128.store(place(axis, BEFORE), preceding);
  v128.store(place(axis, TOTAL), sum);
  return index;
}

/** The slope of a parameter. */
// @ts-ignore: decorator
@inline
function slopeOf(plan: Spline, u: v128): v128 {
  const least = splat(plan.minSlope);
  if (plan.clamp == 0) return f32x4.add(softplus4(f32x4.add(u, splat(plan.offset))), least);
  const soft = f32x4.mul(u, damping(u, splat(plan.clamp)));
  return madd(exp4(soft), splat(plan.room), least);
}

/** The derivative of that, given the slope. */
// @ts-ignore: decorator
@inline
function slopeGrad(plan: Spline, u: v128, slope: v128): v128 {
  if (plan.clamp == 0) return sigmoid4(f32x4.add(u, splat(plan.offset)));
  const d = damping(u, splat(plan.clamp));
  return f32x4.mul(f32x4.sub(slope, splat(plan.minSlope)), f32x4.mul(d, d));
}

/** The edge that a parameter of slopes belongs to: there are none at the ends of identity tails. */
// @ts-ignore: decorator
@inline
function edgeOf(plan: Spline, j: i32): v128 {
  return splat(<f32>(plan.tails == 0 ? j + 1 : j));
}

/** The edge behind a bin, which on the circle is the first one behind the last. */
// @ts-ignore: decorator
@inline
function edgeBehind(plan: Spline, index: v128): v128 {
  const behind = f32x4.add(index, splat(1));
  if (plan.tails != 1) return behind;
  return select(f32x4.eq(behind, splat(<f32>plan.bins)), splat(0), behind);
}

/** Leaves the parameters of the slopes at both edges of a bin at LEFT and RIGHT. */
// @ts-ignore: decorator
@inline
function findSlopes(plan: Spline, p: usize, pitch: usize, count: i32, index: v128, state: usize): void {
  const slopes = plan.count - 2 * plan.bins;
  const behind = edgeBehind(plan, index);
  let left = splat(0);
  let right = splat(0);
  for (let j = 0; j < slopes; j++) {
    const u = read(p + <usize>j * pitch, count);
    const edge = edgeOf(plan, j);
    left = select(f32x4.eq(edge, index), u, left);
    right = select(f32x4.eq(edge, behind), u, right);
  }
  v128.store(place(state, LEFT), left);
  v128.store(place(state, RIGHT), right);
}

/** Finds the bins of numbers, and leaves what they are made of behind the exponentials in `scratch`. */
// @ts-ignore: decorator
@inline
function find(plan: Spline, given: v128, p: usize, pitch: usize, count: i32, scratch: usize): void {
  const bins = plan.bins;
  const heights = place(scratch, bins);
  const state = place(heights, bins);
  const low = splat(plan.low);
  const high = splat(plan.high);
  const behind = <usize>bins * pitch;
  const sumX = exponentials(p, pitch, bins, plan.clamp, count, scratch);
  const sumY = exponentials(p + behind, pitch, bins, plan.clamp, count, heights);
  const minX = splat(plan.minWidth);
  const minY = splat(plan.minHeight);
  const factorX = splat(plan.widthFactor);
  const factorY = splat(plan.heightFactor);
  const axis = place(state, AXIS);
  let index = splat(0);
  if (plan.fromY) {
    index = locate(false, given, heights, sumY, bins, low, high, minY, factorY, axis);
    locate(true, index, scratch, sumX, bins, low, high, minX, factorX, state);
  } else {
    index = locate(false, given, scratch, sumX, bins, low, high, minX, factorX, state);
    locate(true, index, heights, sumY, bins, low, high, minY, factorY, axis);
  }
  v128.store(place(state, INDEX), index);
  findSlopes(plan, p + 2 * behind, pitch, count, index, state);
}

/** The slope at the left edge of a bin, or the right one. */
// @ts-ignore: decorator
@inline
function slopeAt(plan: Spline, state: usize, side: i32, end: i32): v128 {
  const slope = slopeOf(plan, v128.load(place(state, side)));
  if (plan.tails != 0) return slope;
  return select(f32x4.eq(v128.load(place(state, INDEX)), splat(<f32>end)), splat(1), slope);
}

/** θ of y within its bin. */
// @ts-ignore: decorator
@inline
function solve(zeta: v128, height: v128, delta: v128, a: v128, curvature: v128): v128 {
  const bent = f32x4.mul(zeta, curvature);
  const first = madd(height, f32x4.sub(delta, a), bent);
  const half = f32x4.sub(f32x4.mul(height, a), bent);
  const constant = f32x4.mul(delta, zeta);
  const square = madd(f32x4.mul(splat(4), first), constant, f32x4.mul(half, half));
  // Not negative but for rounding.
  const root = f32x4.sqrt(f32x4.pmax(square, splat(0)));
  const theta = f32x4.div(f32x4.mul(splat(2), constant), f32x4.add(half, root));
  return f32x4.pmin(theta, splat(1));
}

/** One vector of the map, in either direction. */
// @ts-ignore: decorator
@inline
function move(plan: Spline, at: usize, p: usize, pitch: usize, count: i32, scratch: usize): void {
  const state = place(scratch, 2 * plan.bins);
  const given = read(plan.given + at, count);
  const clamped = f32x4.pmax(f32x4.pmin(given, splat(plan.high)), splat(plan.low));
  find(plan, clamped, p, pitch, count, scratch);
  const axis = place(state, AXIS);
  const x0 = v128.load(place(state, START));
  const width = v128.load(place(state, LENGTH));
  const y0 = v128.load(place(axis, START));
  const height = v128.load(place(axis, LENGTH));
  const a = slopeAt(plan, state, LEFT, 0);
  const b = slopeAt(plan, state, RIGHT, plan.bins - 1);
  const delta = f32x4.div(height, width);
  const curvature = nmadd(splat(2), delta, f32x4.add(a, b));
  const theta = plan.fromY
    ? solve(f32x4.sub(clamped, y0), height, delta, a, curvature)
    : f32x4.pmin(f32x4.div(f32x4.sub(clamped, x0), width), splat(1));
  const rest = f32x4.sub(splat(1), theta);
  const u = f32x4.mul(theta, rest);
  const square = f32x4.mul(theta, theta);
  const bottom = madd(curvature, u, delta);
  const ends = madd(b, square, f32x4.mul(a, f32x4.mul(rest, rest)));
  const steepness = madd(f32x4.mul(splat(2), delta), u, ends);
  const ratio = f32x4.div(delta, bottom);
  const slope = f32x4.mul(f32x4.mul(ratio, ratio), steepness);
  const inside = f32x4.eq(given, clamped);
  const beyond = f32x4.sub(given, clamped);
  let log = log4(slope);
  if (plan.tails != 2) log = select(inside, log, splat(0));
  if (plan.fromY) {
    const x = madd(theta, width, x0);
    const tail = plan.tails == 2 ? f32x4.div(beyond, slope) : beyond;
    write(plan.found + at, select(inside, x, f32x4.add(clamped, tail)), count);
    write(plan.log + at, f32x4.neg(log), count);
  } else {
    const top = madd(delta, square, f32x4.mul(a, u));
    const y = madd(height, f32x4.div(top, bottom), y0);
    const tail = plan.tails == 2 ? f32x4.mul(beyond, slope) : beyond;
    write(plan.found + at, select(inside, y, f32x4.add(clamped, tail)), count);
    write(plan.log + at, log, count);
  }
}

/** Writes the gradients of a softmax's parameters, for those of the bin's edge and length. */
// @ts-ignore: decorator
@inline
function partitionGrad(
  plan: Spline,
  p: usize,
  dp: usize,
  pitch: usize,
  count: i32,
  exponential: usize,
  axis: usize,
  index: v128,
  factor: f32,
  dstart: v128,
  dlength: v128,
): void {
  const perTotal = f32x4.div(splat(1), v128.load(place(axis, TOTAL)));
  const before = f32x4.mul(v128.load(place(axis, BEFORE)), dstart);
  const mean = f32x4.mul(madd(v128.load(place(axis, SHARE)), dlength, before), perTotal);
  const scale = f32x4.mul(splat(factor), perTotal);
  const earlier = f32x4.sub(dstart, mean);
  const own = f32x4.sub(dlength, mean);
  const later = f32x4.neg(mean);
  for (let k = 0; k < plan.bins; k++) {
    const here = splat(<f32>k);
    const g = select(f32x4.lt(here, index), earlier, select(f32x4.eq(here, index), own, later));
    let du = f32x4.mul(f32x4.mul(scale, v128.load(place(exponential, k))), g);
    const at = <usize>k * pitch;
    if (plan.clamp != 0) {
      const d = damping(read(p + at, count), splat(2 * plan.clamp));
      du = f32x4.mul(du, f32x4.mul(d, d));
    }
    write(dp + at, du, count);
  }
}

/** One vector of the derivatives, in either direction. */
// @ts-ignore: decorator
@inline
function moveBack(
  plan: Spline,
  at: usize,
  p: usize,
  dp: usize,
  pitch: usize,
  count: i32,
  scratch: usize,
): void {
  const heights = place(scratch, plan.bins);
  const state = place(heights, plan.bins);
  const given = read(plan.given + at, count);
  const clamped = f32x4.pmax(f32x4.pmin(given, splat(plan.high)), splat(plan.low));
  find(plan, clamped, p, pitch, count, scratch);
  const axis = place(state, AXIS);
  const x0 = v128.load(place(state, START));
  const width = v128.load(place(state, LENGTH));
  const y0 = v128.load(place(axis, START));
  const height = v128.load(place(axis, LENGTH));
  const index = v128.load(place(state, INDEX));
  const a = slopeAt(plan, state, LEFT, 0);
  const b = slopeAt(plan, state, RIGHT, plan.bins - 1);
  const one = splat(1);
  const two = splat(2);
  const delta = f32x4.div(height, width);
  const curvature = nmadd(two, delta, f32x4.add(a, b));
  const theta = plan.fromY
    ? solve(f32x4.sub(clamped, y0), height, delta, a, curvature)
    : f32x4.pmin(f32x4.div(f32x4.sub(clamped, x0), width), splat(1));
  const rest = f32x4.sub(one, theta);
  const u = f32x4.mul(theta, rest);
  const square = f32x4.mul(theta, theta);
  const opposite = f32x4.mul(rest, rest);
  const turn = f32x4.sub(rest, theta);
  const perWidth = f32x4.div(one, width);
  const perBottom = f32x4.div(one, madd(curvature, u, delta));
  const ends = madd(b, square, f32x4.mul(a, opposite));
  const steepness = madd(f32x4.mul(two, delta), u, ends);
  const perSteepness = f32x4.div(one, steepness);
  const ratio = f32x4.mul(delta, perBottom);
  const slope = f32x4.mul(f32x4.mul(ratio, ratio), steepness);
  const share = f32x4.mul(madd(delta, square, f32x4.mul(a, u)), perBottom);
  const steeper = madd(delta, turn, f32x4.sub(f32x4.mul(b, theta), f32x4.mul(a, rest)));
  const bent = f32x4.mul(f32x4.mul(curvature, turn), perBottom);
  const byTheta = f32x4.mul(two, f32x4.sub(f32x4.mul(steeper, perSteepness), bent));
  const bend = f32x4.mul(byTheta, perWidth);

  const inside = f32x4.eq(given, clamped);
  const beyond = f32x4.sub(given, clamped);
  const sloped = plan.tails == 2;
  // By how much x lies beyond.
  let tail = beyond;
  if (plan.fromY) {
    if (sloped) tail = f32x4.div(beyond, slope);
    write(plan.found + at, select(inside, madd(theta, width, x0), f32x4.add(clamped, tail)), count);
  } else {
    const y = madd(height, share, y0);
    const line = sloped ? f32x4.mul(beyond, slope) : beyond;
    write(plan.found + at, select(inside, y, f32x4.add(clamped, line)), count);
  }

  const from = read(plan.from + at, count);
  const dlog = plan.log ? read(plan.log + at, count) : splat(0);
  let dy = from;
  if (plan.inverse) {
    const within = f32x4.div(nmadd(dlog, bend, from), slope);
    dy = select(inside, within, sloped ? f32x4.div(from, slope) : from);
    write(plan.to + at, dy, count);
  } else {
    const within = madd(dlog, bend, f32x4.mul(slope, from));
    write(plan.to + at, select(inside, within, sloped ? f32x4.mul(slope, from) : from), count);
  }
  let gl = sloped ? madd(f32x4.mul(dy, tail), slope, dlog) : select(inside, dlog, splat(0));
  let gy = select(inside, dy, splat(0));
  if (plan.inverse) {
    gl = f32x4.neg(gl);
    gy = f32x4.neg(gy);
  }

  const flat = nmadd(two, u, one);
  const scaled = f32x4.mul(height, perBottom);
  const yByDelta = f32x4.mul(scaled, nmadd(share, flat, square));
  const logByDelta = f32x4.mul(
    two,
    f32x4.add(f32x4.div(one, delta), nmadd(flat, perBottom, f32x4.mul(u, perSteepness))),
  );
  const ddelta = madd(gl, logByDelta, f32x4.mul(gy, yByDelta));
  const dstart = f32x4.neg(madd(gl, bend, f32x4.mul(gy, slope)));
  const perDelta = f32x4.mul(ddelta, perWidth);
  const dwidth = nmadd(perDelta, delta, f32x4.mul(dstart, theta));
  const dheight = madd(gy, share, perDelta);
  const both = f32x4.mul(two, f32x4.mul(u, perBottom));
  const lifted = f32x4.mul(f32x4.mul(gy, scaled), u);
  const byA = f32x4.sub(f32x4.mul(opposite, perSteepness), both);
  const byB = f32x4.sub(f32x4.mul(square, perSteepness), both);
  const left = v128.load(place(state, LEFT));
  const right = v128.load(place(state, RIGHT));
  const da = f32x4.mul(madd(gl, byA, nmadd(lifted, share, lifted)), slopeGrad(plan, left, a));
  const db = f32x4.mul(nmadd(lifted, share, f32x4.mul(gl, byB)), slopeGrad(plan, right, b));

  const behind = <usize>plan.bins * pitch;
  partitionGrad(plan, p, dp, pitch, count, scratch, state, index, plan.widthFactor, dstart, dwidth);
  partitionGrad(
    plan, p + behind, dp + behind, pitch, count, heights, axis, index, plan.heightFactor, gy, dheight,
  );
  const after = edgeBehind(plan, index);
  const slopes = plan.count - 2 * plan.bins;
  let to = dp + 2 * behind;
  for (let j = 0; j < slopes; j++) {
    const edge = edgeOf(plan, j);
    const g = select(f32x4.eq(edge, index), da, splat(0));
    write(to, f32x4.add(g, select(f32x4.eq(edge, after), db, splat(0))), count);
    to += pitch;
  }
}

// @ts-ignore: decorator
@inline
function moveAll(plan: Spline, back: bool, first: i32, last: i32, scratch: usize): void {
  const size = plan.size;
  const pitch = (<usize>size) << 2;
  const block = <usize>plan.count * pitch;
  let i = first;
  while (i < last) {
    const row = i / size;
    const column = i - row * size;
    const count = min(LANES, min(last - i, size - column));
    const at = (<usize>i) << 2;
    const offset = <usize>row * block + ((<usize>column) << 2);
    if (back) moveBack(plan, at, plan.p + offset, plan.dp + offset, pitch, count, scratch);
    else move(plan, at, plan.p + offset, pitch, count, scratch);
    i += count;
  }
}

/** The map of the numbers from `first` to before `last`, counted through all rows. */
export function spline(plan: Spline, first: i32, last: i32, scratch: usize): void {
  moveAll(plan, false, first, last, scratch);
}

/** Its derivatives. */
export function splineBack(plan: Spline, first: i32, last: i32, scratch: usize): void {
  moveAll(plan, true, first, last, scratch);
}
