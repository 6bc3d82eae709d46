/** What the kinds of imaging have in common that this example reconstructs. */
import type { LinearMap } from '@invnet/operators';
import type { RandomStream, Tensor } from '@invnet/tensor';

/** A kind of imaging: its physics, and simulated scans. */
export interface Modality {
  /** Channels of an image: 2 where it is complex. */
  readonly channels: number;
  /** From images to data; ‖A‖ ≤ 1. */
  readonly operator: LinearMap;
  /** What its scans are, for a person to read. */
  readonly scans: string;
  /** What a reconstruction without learning and iterations is called. */
  readonly classical: string;
  /** Scans images of magnitudes [N, H, W], all random choices by the stream. */
  scan(magnitudes: Tensor, random: RandomStream): Promise<Scan>;
  /** Puts what was measured back into images, where that can be told apart from what was not. */
  consistent(images: Tensor, data: Tensor): Tensor;
  /** The adjoint of the derivative of `consistent` with respect to the images. */
  throughConsistent(gradient: Tensor): Tensor;
}

/** Scans of N images, in units in which their classical reconstruction is 1 at most. */
export interface Scan {
  /** [N, channels, H, W] */
  readonly truth: Tensor;
  readonly data: Tensor;
  /** The classical reconstruction. */
  readonly start: Tensor;
  /** Makes the operator that of this scan. */
  readonly prepare: () => void;
}

/** Frees its tensors. */
export function disposeScan({ truth, data, start }: Scan): void {
  for (const t of [truth, data, start]) t.dispose();
}

/** Magnitudes of images [N, channels, H, W], image after image. */
export async function magnitudesOf(images: Tensor): Promise<Float32Array[]> {
  const [count, channels] = images.shape as [number, number, number, number];
  const values = await images.data();
  const pixels = images.size / count / channels;
  return Array.from({ length: count }, (_, n) => {
    const image = values.subarray(n * channels * pixels, (n + 1) * channels * pixels);
    return Float32Array.from({ length: pixels }, (_, i) =>
      channels === 2 ? Math.hypot(image[i]!, image[i + pixels]!) : image[i]!,
    );
  });
}

/** One over the largest magnitude of each image, [N, 1, 1, 1]. */
export async function reciprocalMaxima(images: Tensor): Promise<number[]> {
  const all = await magnitudesOf(images);
  return all.map((image) => 1 / image.reduce((a, b) => Math.max(a, b), 0));
}
