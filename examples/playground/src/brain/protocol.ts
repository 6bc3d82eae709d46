/** What the tab of brain scans and its worker, where all computing happens, say to each other. */

/** Height and width of the images, and lines of a whole scan. */
export const size = 64;

/** Places of lines, or one of how many is to be taken, at random. */
export type LineChoice = { readonly lines: readonly number[] } | { readonly acceleration: number };

export type BrainRequest =
  /** Scans a slice, and draws samples of what it may have been until there are `samples` of them. */
  | {
      readonly type: 'scan';
      readonly slice: number;
      readonly choice: LineChoice;
      /** Of the lines, the noise and the samples. */
      readonly seed: number;
      readonly samples: number;
    }
  | { readonly type: 'pause' | 'go' };

/** A simulated scan. Images are magnitudes, row by row. */
export interface Scan {
  /** The lines that were taken, ascending. */
  readonly lines: readonly number[];
  readonly truth: Float32Array;
  readonly zeroFilled: Float32Array;
  readonly zeroFilledPsnr: number;
  /** Magnitudes of all lines, of which the scan has some. */
  readonly kSpace: Float32Array;
}

/** Samples of the posterior so far. Images are magnitudes, row by row; PSNR is of complex images. */
export interface Posterior {
  readonly count: number;
  /** The last one. */
  readonly sample: Float32Array;
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
  /** |mean − truth| */
  readonly error: Float32Array;
  /** Of one sample: 10 log₁₀ of the mean of squared errors over all samples. */
  readonly samplePsnr: number;
  readonly meanPsnr: number;
}

export type BrainReply =
  | { readonly type: 'scanned'; readonly scan: Scan }
  | { readonly type: 'samples'; readonly posterior: Posterior }
  | { readonly type: 'paused' }
  | { readonly type: 'error'; readonly message: string };
