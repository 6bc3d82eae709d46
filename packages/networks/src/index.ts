/** Networks of invertible layers. */
export { FirstHalf } from './first-half.ts';
export type { GlowOptions } from './glow.ts';
export { Glow } from './glow.ts';
export { reverse } from './reverse.ts';
export { compose, Sequential } from './sequential.ts';
