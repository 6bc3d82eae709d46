/** How good reconstructions are, slice by slice, beside the classical ones. */
import { nrmse, psnr, ssim } from '@invnet/metrics';
import { totalVariation } from '@invnet/operators';
import { magnitudesOf, type Scan } from './modality.ts';
import { reconstruct, type Solver } from './reconstruction.ts';

/** Of one slice, magnitudes compared; the largest of the truth is the range. */
export interface Quality {
  /** In decibels. */
  readonly psnr: number;
  readonly ssim: number;
  readonly nrmse: number;
}

/** A slice, reconstructed by all methods. */
export interface Comparison {
  /** Magnitudes, row by row. */
  readonly truth: Float32Array;
  /** Zero-filled, or by filtered back-projection. */
  readonly classical: Result;
  readonly totalVariation: Result & { readonly weight: number };
  readonly loop: Result;
}

/** What one method made of a slice. */
export interface Result {
  readonly image: Float32Array;
  readonly quality: Quality;
}

/** Methods by their place in a comparison. */
export const methods = ['classical', 'totalVariation', 'loop'] as const;

/** Weights of total variation, of which each slice gets the one that suits it best: the truth is asked. */
const weights = [0.001, 0.002, 0.004, 0.008, 0.016];

/** Reconstructs the slices of a scan by all methods. @throws the signal's reason when it comes. */
export async function compareMethods(
  solver: Solver,
  scan: Scan,
  signal: AbortSignal,
): Promise<Comparison[]> {
  const truth = await magnitudesOf(scan.truth);
  const classical = await magnitudesOf(scan.start);
  using estimate = reconstruct(solver, scan);
  const loop = await magnitudesOf(estimate);
  const tried: { weight: number; images: Float32Array[] }[] = [];
  for (const weight of weights) {
    // Reading is instant on a CPU: without a pause no signal would ever arrive.
    await new Promise(setImmediate);
    signal.throwIfAborted();
    scan.prepare();
    using images = await totalVariation(solver.modality.operator, scan.data, { weight });
    tried.push({ weight, images: await magnitudesOf(images) });
  }
  return truth.map((image, n) => {
    const byWeight = tried.map(({ weight, images }) => ({
      weight,
      ...resultOf(images[n]!, image),
    }));
    return {
      truth: image,
      classical: resultOf(classical[n]!, image),
      totalVariation: byWeight.reduce((a, b) => (b.quality.psnr > a.quality.psnr ? b : a)),
      loop: resultOf(loop[n]!, image),
    };
  });
}

/** The mean over slices. */
export function meanQuality(all: readonly Quality[]): Quality {
  const mean = (of: (q: Quality) => number) => all.reduce((sum, q) => sum + of(q), 0) / all.length;
  return { psnr: mean((q) => q.psnr), ssim: mean((q) => q.ssim), nrmse: mean((q) => q.nrmse) };
}

function resultOf(image: Float32Array, truth: Float32Array): Result {
  const range = truth.reduce((a, b) => Math.max(a, b), 0);
  const side = Math.sqrt(truth.length);
  return {
    image,
    quality: {
      psnr: psnr(image, truth, { range }),
      ssim: ssim(image, truth, { shape: [side, side], range }),
      nrmse: nrmse(image, truth),
    },
  };
}
