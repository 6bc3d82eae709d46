/** How well samples fit the data: ‖A s − d‖/(σ√m), which is 1 for the truth, up to chance. */
import type { PosteriorCase } from '../posterior.ts';
import type { Check } from './check.ts';

/** Over all samples of all cases. */
export interface Misfit {
  readonly mean: number;
  readonly least: number;
  readonly most: number;
}

/** Collects misfits. */
export class MisfitCheck implements Check<Misfit> {
  readonly #misfits: number[] = [];

  add({ misfits }: PosteriorCase): void {
    this.#misfits.push(...misfits);
  }

  result(): Misfit {
    const sorted = this.#misfits.toSorted((a, b) => a - b);
    const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length;
    return { mean, least: sorted[0]!, most: sorted.at(-1)! };
  }
}
