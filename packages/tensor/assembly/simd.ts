/**
 * The few vector idioms that all kernels share, among them the one place where the two builds
 * differ: `RELAXED` (a constant given to the compiler) turns a·b + c into one fused instruction.
 *
 * Left out: anything that loops. Kernels read and write whole vectors of four floats; that is safe
 * past the end of an array because every block of the allocator is a multiple of 64 bytes.
 */

// @ts-ignore: a constant given with `--use RELAXED=0|1`
const FUSED: bool = RELAXED != 0;

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

/** Rows tiled into one register block: what the 15 registers that V8 gives out can hold. */
export const ROWS: i32 = FUSED ? 6 : 5;
