/** Normalizing flows: densities, samples and their losses. */
export type { BaseSampleOptions, Draw } from './bases/base-distribution.ts';
export { BaseDistribution } from './bases/base-distribution.ts';
export { StandardNormal, standardNormal } from './bases/standard-normal.ts';
export { flowCatalogue } from './catalogue.ts';
export type { Pixels } from './dequantize.ts';
export { bitsPerDim, dequantize } from './dequantize.ts';
export type { SampleOptions } from './flow.ts';
export { Flow, negativeLogLikelihood } from './flow.ts';
