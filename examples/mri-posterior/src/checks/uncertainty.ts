/** Whether posteriors know where their mean is wrong: deviation against error, number by number. */
import { type CalibrationBin, spearman, uncertaintyCalibration } from '@invnet/metrics';
import type { PosteriorCase } from '../posterior.ts';
import type { Region } from '../problem.ts';
import type { Check } from './check.ts';

/** Of the numbers of all images, or of those in the region. */
export interface Uncertainty {
  /** Rank correlation of deviation and |error|, 1 at most. */
  readonly spearman: number;
  /** Uncertainty calibration error, in the unit of the image; 0 is right. */
  readonly uce: number;
  readonly bins: readonly CalibrationBin[];
}

/** Numbers that are kept: as many say the same as all. */
const most = 1_000_000;

/** Collects errors and deviations, of a region where there is one. */
export class UncertaintyCheck implements Check<Uncertainty> {
  readonly #region: Region | undefined;
  readonly #errors: number[] = [];
  readonly #deviations: number[] = [];

  constructor(region?: Region) {
    this.#region = region;
  }

  add({ truth, mean, deviation }: PosteriorCase): void {
    const inside = this.#region?.of(mean);
    for (let j = 0; j < truth.length && this.#errors.length < most; j++) {
      if (inside && !inside[j]) continue;
      this.#errors.push(mean[j]! - truth[j]!);
      this.#deviations.push(deviation[j]!);
    }
  }

  result(): Uncertainty {
    const { uce, bins } = uncertaintyCalibration(this.#errors, this.#deviations, { bins: 15 });
    return { spearman: spearman(this.#errors.map(Math.abs), this.#deviations), uce, bins };
  }
}
