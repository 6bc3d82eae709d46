/**
 * The vocabulary of vectors in which all kernels are written. The kernels exist twice: as WebAssembly, whose
 * vectors are four floats, and translated to C, where they are as wide as the processor's (packages/native). So a
 * vector is seen as LANES / 4 quads of four floats side by side; shuffles act within each quad, and everything else
 * on each float. This file is what both have of their own, the other one's is packages/native/src/c/simd.h.
 *
 * Here is also the one place where the WebAssembly builds differ, by constants given to the compiler: `RELAXED` turns
 * a·b + c into one fused instruction, as it is in C, and `WIDE` is for engines that pack two vectors into one register.
 *
 * Left out: anything that loops. Kernels read and write whole vectors; that is safe past the end of an
 * array because every block of the allocator is a multiple of 64 bytes, with room behind for one vector that
 * is written, and for 128 bytes that are read. Half as many may be read before an array: the heap is not where memory begins.
 */

// @ts-ignore: a constant given with `--use RELAXED=0|1`
const FUSED: bool = RELAXED != 0;

/** Floats in a vector, bytes, and quads. */
export const LANES: i32 = 4;
export const VECTOR: usize = 16;
export const QUADS: i32 = 1;

/** Rows tiled into one register block: what the 15 registers that V8 gives out can hold. */
export const ROWS: i32 = FUSED ? 6 : 5;
/** Vectors to each of them, twice as many where two make one register. */
// @ts-ignore: a constant given with `--use WIDE=0|1`
export const ROW_VECTORS: i32 = WIDE ? 4 : 2;

/**
 * Four floats where it must be four, however wide vectors are; two doubles where sums are kept; and a vector of doubles,
 * half as many as it has floats.
 */
export type quad = v128;
export type doubles = v128;
export type widened = v128;
/** Places of quads. */
export type places = usize;

/** Multiply-add; fused, hence rounded once, in the relaxed build. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

/** c − a·b, as `madd`. */
// @ts-ignore: decorator
@inline
export function nmadd(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_nmadd(a, b, c) : f32x4.sub(c, f32x4.mul(a, b));
}

// @ts-ignore: decorator
@inline
export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

/** `yes` where the mask is set, lane by lane, else `no`. */
// @ts-ignore: decorator
@inline
export function select(mask: v128, yes: v128, no: v128): v128 {
  return v128.bitselect(yes, no, mask);
}

/** Quads `pitch` bytes apart side by side. */
// @ts-ignore: decorator
@inline
export function loadQuads(from: usize, pitch: usize): v128 {
  return v128.load(from);
}

/** Where the quads of a vector lie that do not follow each other: behind `from` as words say, `pitch` bytes apart. */
// @ts-ignore: decorator
@inline
export function placesBehind(from: usize, words: usize, pitch: usize): places {
  return from + load<usize>(words);
}

/** Quads side by side of which each lies at its place, or one or two quads behind. */
// @ts-ignore: decorator
@inline
export function loadQuadsAt(at: places, behind: i32): v128 {
  if (behind == 1) return v128.load(at, 16);
  if (behind == 2) return v128.load(at, 32);
  return v128.load(at);
}

/** Asks for the line of the cache that begins there, or contains it, where the processor can be asked. */
// @ts-ignore: decorator
@inline
export function prefetch(at: usize): void {}

/** One quad, as often as a vector has some. */
// @ts-ignore: decorator
@inline
export function splatQuad(from: usize): v128 {
  return v128.load(from);
}

/** What `loadQuads` loads. */
// @ts-ignore: decorator
@inline
export function storeQuads(to: usize, pitch: usize, v: v128): void {
  v128.store(to, v);
}

/** One quad of a vector. */
// @ts-ignore: decorator
@inline
export function quadOf(v: v128, index: i32): quad {
  return v;
}

// @ts-ignore: decorator
@inline
export function loadQuad(from: usize): quad {
  return v128.load(from);
}

/** A quad where that of a mask is positive, else zero. */
// @ts-ignore: decorator
@inline
export function keepPositive(v: quad, mask: quad): quad {
  return v128.and(v, f32x4.gt(mask, f32x4.splat(0)));
}

/** A vector of `count` floats, from 1 to LANES, `step` bytes apart, with zeros behind. */
// @ts-ignore: decorator
@inline
export function loadSome(from: usize, step: usize, count: i32): v128 {
  let v = v128.load32_zero(from);
  if (count > 1) v = v128.load32_lane(from + step, v, 1);
  if (count > 2) v = v128.load32_lane(from + 2 * step, v, 2);
  if (count > 3) v = v128.load32_lane(from + 3 * step, v, 3);
  return v;
}

/** The floats of a line of `size` from the one of an index on, which may be negative; zero where there are none. */
// @ts-ignore: decorator
@inline
export function loadBetween(line: usize, index: i32, size: i32): v128 {
  let v = f32x4.splat(0);
  const at = line + ((<usize>index) << 2);
  if (index >= 0 && index < size) v = v128.load32_lane(at, v, 0);
  if (index + 1 >= 0 && index + 1 < size) v = v128.load32_lane(at + 4, v, 1);
  if (index + 2 >= 0 && index + 2 < size) v = v128.load32_lane(at + 8, v, 2);
  if (index + 3 >= 0 && index + 3 < size) v = v128.load32_lane(at + 12, v, 3);
  return v;
}

/** Stores the first `count` floats, from 0 to LANES − 1: what follows may be another thread's. */
// @ts-ignore: decorator
@inline
export function storeSome(to: usize, v: v128, count: i32): void {
  if (count > 0) v128.store32_lane(to, v, 0);
  if (count > 1) v128.store32_lane(to + 4, v, 1);
  if (count > 2) v128.store32_lane(to + 8, v, 2);
}

/** A vector whose first `count` floats are kept, from 1 to LANES − 1, and zero behind. */
// @ts-ignore: decorator
@inline
export function keepSome(v: v128, count: i32): v128 {
  return v128.and(v, i32x4(-1, count > 1 ? -1 : 0, count > 2 ? -1 : 0, 0));
}

/** Half a vector's floats as doubles. */
// @ts-ignore: decorator
@inline
export function widen(from: usize): widened {
  return f64x2.promote_low_f32x4(v128.load64_zero(from));
}

// @ts-ignore: decorator
@inline
export function splatWidened(x: f64): widened {
  return f64x2.splat(x);
}

/** One pair of such doubles, of QUADS. */
// @ts-ignore: decorator
@inline
export function pairOf(v: widened, index: i32): doubles {
  return v;
}

/** Adds a vector to two sums of doubles, quad after quad: its even places to one, and its odd ones. */
// @ts-ignore: decorator
@inline
export function sumInto(sums: doubles, v: v128): doubles {
  const high = f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
  return f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(v), high));
}
