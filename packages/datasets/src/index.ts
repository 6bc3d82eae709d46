/** Real and synthetic data for InvNet, and the file formats that it comes in. */
export { indexBatches, takeRows } from './batches.ts';
export type { BatchOptions, BatchPlace, IndexBatch } from './batches.ts';
export { banana, swirl } from './densities.ts';
export type { BananaOptions, Density, Samplable, SwirlOptions } from './densities.ts';
export { IdxFormatError, parseIdx } from './idx.ts';
export type { IdxArray, IdxData } from './idx.ts';
export { loadMnist } from './mnist.ts';
export type { Mnist, MnistOptions } from './mnist.ts';
