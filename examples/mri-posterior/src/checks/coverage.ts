/** How many true numbers lie in the central intervals of their samples: a share equal to the interval's level. */
import { coverage } from '@invnet/metrics';
import type { PosteriorCase } from '../posterior.ts';
import type { Region } from '../problem.ts';
import type { Check } from './check.ts';

/** Shares by level. */
export interface Coverage {
  readonly levels: readonly number[];
  /** Of all numbers of all images. */
  readonly all: readonly number[];
  /** Of those in the region, where the problem has one. */
  readonly region?: readonly number[];
}

/** 5 % to 95 %, for which 39 samples have intervals exactly. */
export const levels = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);

/** Collects how many numbers are covered. */
export class CoverageCheck implements Check<Coverage> {
  readonly #region: Region | undefined;
  readonly #all = new Tally();
  readonly #within = new Tally();

  constructor(region?: Region) {
    this.#region = region;
  }

  add(posterior: PosteriorCase): void {
    this.#all.add(posterior.samples, posterior.truth);
    if (!this.#region) return;
    const inside = this.#region.of(posterior.mean);
    const within = (values: Float32Array) => values.filter((_, j) => inside[j]);
    const truth = within(posterior.truth);
    if (truth.length > 0) this.#within.add(posterior.samples.map(within), truth);
  }

  result(): Coverage {
    const region = this.#region && { region: this.#within.shares() };
    return { levels, all: this.#all.shares(), ...region };
  }
}

class Tally {
  readonly #covered = levels.map(() => 0);
  #numbers = 0;

  add(samples: readonly Float32Array[], truth: Float32Array): void {
    this.#numbers += truth.length;
    for (const [l, share] of coverage(samples, truth, { levels }).entries()) {
      this.#covered[l]! += share * truth.length;
    }
  }

  shares(): number[] {
    return this.#covered.map((count) => count / this.#numbers);
  }
}
