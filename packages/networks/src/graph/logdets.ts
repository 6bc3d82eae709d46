/** Log-determinants of steps, added up for those who ask for some of them, and gradients the other way round. */
import { addOwned, sumOfTerms } from '@invnet/layers';
import { clone, type Tensor } from '@invnet/tensor';
import type { Step } from './wiring.ts';

/** Sums over all steps, and over sets of them. */
export class LogdetSums {
  readonly #sets: readonly ReadonlySet<Step>[];
  readonly #parts: (Tensor | undefined)[];
  #total: Tensor | undefined;

  constructor(sets: readonly ReadonlySet<Step>[]) {
    this.#sets = sets;
    this.#parts = sets.map(() => undefined);
  }

  /** Over all steps; none where no step has one. */
  get total(): Tensor | undefined {
    return this.#total;
  }

  /** Over each set. */
  get parts(): readonly (Tensor | undefined)[] {
    return this.#parts;
  }

  /** Takes the numbers of a step over. */
  add(step: Step, logdet: Tensor): void {
    this.#sets.forEach((steps, i) => {
      if (steps.has(step)) this.#parts[i] = addOwned(this.#parts[i], clone(logdet));
    });
    this.#total = addOwned(this.#total, logdet);
  }
}

/** The gradient with respect to each step's log-determinant, of those with respect to sums. */
export class LogdetGradients {
  readonly #total: Tensor | undefined;
  readonly #parts: readonly (readonly [ReadonlySet<Step>, Tensor])[];
  /** Steps in the same sets have the same. */
  readonly #known = new Map<string, Tensor | undefined>();

  constructor(
    total: Tensor | undefined,
    parts: readonly (readonly [ReadonlySet<Step>, Tensor])[] = [],
  ) {
    this.#total = total;
    this.#parts = parts;
  }

  of(step: Step): Tensor | undefined {
    const terms = this.#parts.flatMap(([steps, gradient], i) =>
      steps.has(step) ? [[i, gradient] as const] : [],
    );
    if (terms.length === 0) return this.#total;
    const key = terms.map(([i]) => i).join();
    const known = this.#known.get(key);
    if (known) return known;
    const gradients = terms.map(([, gradient]) => gradient);
    const made = sumOfTerms(gradients[0]!, this.#total, ...gradients);
    this.#known.set(key, made);
    return made;
  }
}
