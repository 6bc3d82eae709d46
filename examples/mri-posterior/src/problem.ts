/**
 * What the inverse problems of this example have in common: images x, and data d = A x + σ ε of them,
 * with standard normal ε and an operator of orthonormal rows, A Aᵀ = 1.
 */
import type { ImagingOperator } from '@invnet/operators';
import type { RandomStream, Tensor } from '@invnet/tensor';

/** Images, and what was observed of each. Whoever drew them frees them: `disposeObservations`. */
export interface Observations {
  /** x [N, C, H, W] */
  readonly x: Tensor;
  /** d = A x + σ ε, batch first. */
  readonly data: Tensor;
  /** A, of each image its own where they differ. */
  readonly operator: ImagingOperator;
  /** A of one of the images, for any batch; another operator, to be freed by itself. */
  readonly operatorOf: (index: number) => ImagingOperator;
  /** What the network sees: Aᵀd, and what else it should know of A, [N, C′, H, W]. */
  readonly context: Tensor;
}

/** A part of an image that is looked at by itself, found from what is known without the truth. */
export interface Region {
  readonly name: string;
  /** 1 for the numbers that are in it, of an image's posterior mean. */
  of(mean: Float32Array): Uint8Array;
}

/** Moments of a posterior whose covariance is the same for all data. */
export interface ClosedForm {
  /** Mean of x given data as numbers. */
  mean(data: ArrayLike<number>): Float64Array;
  readonly deviation: Float64Array;
}

/** Channels of images and contexts. */
export interface Channels {
  readonly channels: number;
  readonly contextChannels: number;
}

/** A distribution of images with their observations. */
export interface InverseProblem extends Channels {
  /** Height and width of the images. */
  readonly size: number;
  /** σ */
  readonly noise: number;
  /** Numbers that are observed of an image, m. */
  readonly observed: number;
  /** About the deviation of what A does not see; observed parts get it too (see coordinates.ts). */
  readonly spread: number;
  readonly region?: Region;
  /** p(x | d), where it is known. */
  readonly posterior?: ClosedForm;
  /** Observations of what nothing was trained on and that comes from elsewhere, by name. */
  readonly elsewhere?: Readonly<Record<string, (random: RandomStream) => Promise<Observations>>>;
  /** Observations drawn anew, of images to train on or of others that were kept from it. */
  draw(split: 'training' | 'held-out', count: number, random: RandomStream): Promise<Observations>;
}

/** Frees tensors and operator. */
export function disposeObservations({ x, data, context, operator }: Observations): void {
  for (const owned of [x, data, context, operator]) owned.dispose();
}
