/** Rounding to an element type, and the numbers next to each other in it. */
import type { DType } from './backend.ts';
import { requireFinite } from './checks.ts';

/** The number of an element type that is nearest to x. */
export function roundTo(dtype: DType, x: number): number {
  roundable(x);
  return dtype === 'float32' ? Math.fround(x) : x;
}

/** The largest number of an element type below x. @example nextBelow('float32', 1) // 1 − 2⁻²⁴ */
export function nextBelow(dtype: DType, x: number): number {
  const nearest = roundTo(dtype, x);
  if (nearest < x) return nearest;
  // A little more than half of the last digit, which therefore rounds to one.
  const [half, least] = dtype === 'float32' ? [2 ** -24, 2 ** -149] : [2 ** -53, 2 ** -1074];
  return roundTo(dtype, nearest - Math.max(Math.abs(nearest) * half * (1 + 2 ** -20), least));
}

/** The smallest number of an element type above x. */
export function nextAbove(dtype: DType, x: number): number {
  return -nextBelow(dtype, -roundable(x));
}

/** The number itself, which may be infinite or none. @throws ValueError for what is no number. */
function roundable(x: number): number {
  if (typeof x !== 'number') requireFinite('roundTo', 'x', x);
  return x;
}
