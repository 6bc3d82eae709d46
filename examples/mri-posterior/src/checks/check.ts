/** What a check of posteriors is: it looks at one case after another, and then says what it found. */
import type { PosteriorCase } from '../posterior.ts';

/** A check whose right answer is known. */
export interface Check<Result> {
  add(posterior: PosteriorCase): void | Promise<void>;
  result(): Result;
}

/** Mean of squared differences. */
export function meanSquare(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum / a.length;
}

/** A ratio of powers in decibels. */
export function decibels(ratio: number): number {
  return 10 * Math.log10(ratio);
}
