/**
 * What a run of a wave field is, as operations hand it to the implementations of reference/leapfrog.ts and
 * wasm/leapfrog.ts: sizes and storages, all checked. It stands apart from `Backend`, so that pages without waves
 * load nothing of them.
 */
import type { Storage } from './backend.ts';

/** Weights of the Laplacian of 8th order along one axis, of the cell itself and of those 1 to 4 cells away, times h². */
export const laplacianWeights: readonly number[] = [-205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560];

/** Cells that the Laplacian reaches to either side. */
export const HALO = 4;

/** Points of the image, between cells too: each is `taps` cells, by their index in the image, with weights. */
export interface WavePoints {
  readonly channels: number;
  readonly taps: number;
  readonly cells: Int32Array;
  readonly weights: Float64Array;
}

/** What is driven or read at points: [samples, shots, times, channels], a time every so many steps. */
export interface WaveChannels {
  readonly points: WavePoints;
  readonly every: number;
  readonly times: number;
  readonly series: Storage;
}

/** A field that was kept, [fields, steps − 1, height, width]; that of number f is of field f modulo `fields`. */
export interface KeptField {
  readonly fields: number;
  readonly storage: Storage;
}

/** One call of `leapfrog`. Storages of `record`, `keep`, `image.sum` and `state` are updated in place. */
export interface WaveRun {
  readonly samples: number;
  readonly shots: number;
  /** Of the image; the grid has `border` cells more on each side. */
  readonly height: number;
  readonly width: number;
  readonly border: number;
  readonly steps: number;
  readonly reverse: boolean;
  readonly spacing: readonly [number, number];
  /** 1, or as many as samples: [media, grid]. */
  readonly media: number;
  readonly gain: Storage;
  readonly decay: Storage;
  readonly inject: WaveChannels | undefined;
  readonly record: WaveChannels | undefined;
  readonly scatter: { readonly potential: Storage; readonly field: KeptField } | undefined;
  readonly keep: Storage | undefined;
  readonly image: { readonly sum: Storage; readonly field: KeptField } | undefined;
  readonly state: { readonly previous: Storage; readonly current: Storage } | undefined;
}
