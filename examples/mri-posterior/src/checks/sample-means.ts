/**
 * Means of samples against the truth. For exact posteriors E‖x − s‖² = 2 E‖x − mean‖²: a sample lies 3.01 dB below the
 * mean, and the mean of P samples 10 log₁₀(2P/(P + 1)) dB above one of them.
 */
import type { PosteriorCase } from '../posterior.ts';
import { type Check, decibels, meanSquare } from './check.ts';

/** What means of samples gain. */
export interface SampleMeans {
  /** P: 1, 2, 4, … and all samples. */
  readonly samples: readonly number[];
  /** By how many dB the mean of P samples is better than one sample. */
  readonly gain: readonly number[];
  /** 10 log₁₀(2P/(P + 1)) */
  readonly exactGain: readonly number[];
  /** By how many dB the mean of all samples there could be is better than one; 3.01 if all is right. */
  readonly gap: number;
  /** Root mean square error of a sample, and of the mean of all. */
  readonly sampleError: number;
  readonly meanError: number;
}

/** Collects squared errors of means of the first P samples. */
export class SampleMeansCheck implements Check<SampleMeans> {
  readonly #squares = new Map<number, number>();
  #oneSample = 0;
  #variance = 0;
  #cases = 0;

  add({ truth, samples, deviation }: PosteriorCase): void {
    this.#cases += 1;
    for (const s of samples) this.#oneSample += meanSquare(s, truth) / samples.length;
    this.#variance += meanSquare(deviation, new Float32Array(deviation.length));
    const sum = new Float64Array(truth.length);
    let next = 1;
    for (const [i, sample] of samples.entries()) {
      for (let j = 0; j < sum.length; j++) sum[j]! += sample[j]!;
      const count = i + 1;
      if (count !== next && count !== samples.length) continue;
      next *= 2;
      const mean = sum.map((v) => v / count);
      this.#squares.set(count, (this.#squares.get(count) ?? 0) + meanSquare(mean, truth));
    }
  }

  result(): SampleMeans {
    const counts = [...this.#squares.keys()];
    const most = counts.at(-1)!;
    // Of one sample there are as many as there are samples.
    const squares = (count: number) => (count === 1 ? this.#oneSample : this.#squares.get(count)!);
    const ofAll = squares(most) - this.#variance / most;
    return {
      samples: counts,
      gain: counts.map((count) => decibels(this.#oneSample / squares(count))),
      exactGain: counts.map((count) => decibels((2 * count) / (count + 1))),
      gap: decibels(this.#oneSample / ofAll),
      sampleError: Math.sqrt(this.#oneSample / this.#cases),
      meanError: Math.sqrt(squares(most) / this.#cases),
    };
  }
}
