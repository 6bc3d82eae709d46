/** Real and synthetic data for InvNet, and the file formats that it comes in. */

export type { BatchOptions, BatchPlace, IndexBatch } from './batches.ts';
export { indexBatches, takeRows } from './batches.ts';
export type { RowFileOptions } from './block-rows.ts';
export type { BlobLike, FileLike } from './byte-file.ts';
export type {
  BananaOptions,
  Density,
  EightGaussiansOptions,
  Samplable,
  SmoothDensity,
  SwirlOptions,
  TwoMoonsOptions,
} from './densities.ts';
export { banana, checkerboard, eightGaussians, swirl, twoMoons } from './densities.ts';
export type { LayeredEarthOptions, SmoothedEarthOptions } from './earth.ts';
export { layeredEarth, smoothedEarth } from './earth.ts';
export type { FunnelOptions } from './funnel.ts';
export { funnel } from './funnel.ts';
export { gunzip } from './gunzip.ts';
export type { HostArray } from './host-array.ts';
export { maskMissing, requireHostArray, toHostArray } from './host-array.ts';
export type { IdxArray, IdxData } from './idx.ts';
export { IdxFormatError, parseIdx } from './idx.ts';
export type { Mnist, MnistOptions } from './mnist.ts';
export { loadMnist } from './mnist.ts';
export type { TypedNumbers } from './numeric-data.ts';
export type { RowBatchOptions, RowSource, Rows, SplitRowsOptions } from './rows.ts';
export { arrayRows, selectRows, splitRows } from './rows.ts';
export type { Affine, AffineRow, Volume } from './volume.ts';
export { orientVolume } from './volume.ts';
