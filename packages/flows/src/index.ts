/** Normalizing flows: densities, samples and their losses. */
export { flowCatalogue } from './catalogue.ts';
export type { Pixels } from './dequantize.ts';
export { bitsPerDim, dequantize } from './dequantize.ts';
export type { SampleOptions } from './flow.ts';
export { Flow, negativeLogLikelihood } from './flow.ts';
export { BaseDistribution, StandardNormal, standardNormal } from './standard-normal.ts';
