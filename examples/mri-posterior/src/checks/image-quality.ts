/** Peak signal-to-noise ratios of magnitudes, where no answer is known to be right: how much was gained at all. */
import { psnr } from '@invnet/metrics';
import { magnitude, type PosteriorCase } from '../posterior.ts';
import type { Channels } from '../problem.ts';
import type { Check } from './check.ts';

/** In dB, averaged over images; 1 is the range. */
export interface ImageQuality {
  readonly zeroFilled: number;
  readonly mean: number;
  readonly sample: number;
}

/** Collects ratios. */
export class ImageQualityCheck implements Check<ImageQuality> {
  readonly #problem: Channels;
  readonly #sums = { zeroFilled: 0, mean: 0, sample: 0 };
  #cases = 0;

  constructor(problem: Channels) {
    this.#problem = problem;
  }

  add({ truth, zeroFilled, mean, samples }: PosteriorCase): void {
    const exact = magnitude(truth, this.#problem);
    const ratio = (image: Float32Array) =>
      psnr(magnitude(image, this.#problem), exact, { range: 1 });
    this.#cases += 1;
    this.#sums.zeroFilled += ratio(zeroFilled);
    this.#sums.mean += ratio(mean);
    this.#sums.sample += ratio(samples[0]!);
  }

  result(): ImageQuality {
    const { zeroFilled, mean, sample } = this.#sums;
    const cases = this.#cases;
    return { zeroFilled: zeroFilled / cases, mean: mean / cases, sample: sample / cases };
  }
}
