/** Normalizing flows: densities, samples and their losses. */
export { bitsPerDim, dequantize } from './dequantize.ts';
export type { SampleOptions } from './flow.ts';
export { Flow, negativeLogLikelihood } from './flow.ts';
export type { BaseDistribution } from './standard-normal.ts';
export { standardNormal } from './standard-normal.ts';
