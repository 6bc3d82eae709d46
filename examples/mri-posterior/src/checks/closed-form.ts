/** What a flow has learned beside a posterior that is known. */
import type { PosteriorCase } from '../posterior.ts';
import type { ClosedForm } from '../problem.ts';

/** Relative errors, 0 if all is right. */
export interface MomentErrors {
  /** ‖mean − true mean‖/‖true mean‖ over all cases. */
  readonly meanError: number;
  /** The same in units of the true deviation. */
  readonly meanErrorInDeviations: number;
  /** ‖deviation − true deviation‖/‖true deviation‖, variances averaged over the cases, for all have the same. */
  readonly deviationError: number;
}

/**
 * Collects moments of samples. What is left of the samples' own noise in their mean, variance/P, is subtracted from
 * the squared error.
 */
export class ClosedFormCheck {
  readonly #posterior: ClosedForm;
  readonly #variances: Float64Array;
  #cases = 0;
  #error = 0;
  #signal = 0;

  constructor(posterior: ClosedForm) {
    this.#posterior = posterior;
    this.#variances = new Float64Array(posterior.deviation.length);
  }

  /** @param data - d of the case. */
  add({ mean, deviation, samples }: PosteriorCase, data: ArrayLike<number>): void {
    this.#cases += 1;
    const exact = this.#posterior.mean(data);
    for (let j = 0; j < exact.length; j++) {
      const variance = deviation[j]! ** 2;
      this.#error += (mean[j]! - exact[j]!) ** 2 - variance / samples.length;
      this.#signal += exact[j]! ** 2;
      this.#variances[j]! += variance;
    }
  }

  result(): MomentErrors {
    const { deviation: exact } = this.#posterior;
    let [error, signal] = [0, 0];
    for (const [j, deviation] of exact.entries()) {
      error += (Math.sqrt(this.#variances[j]! / this.#cases) - deviation) ** 2;
      signal += deviation ** 2;
    }
    const squared = Math.max(0, this.#error);
    return {
      meanError: Math.sqrt(squared / this.#signal),
      meanErrorInDeviations: Math.sqrt(squared / this.#cases / signal),
      deviationError: Math.sqrt(error / signal),
    };
  }
}
