/** What a network owns while it is being built: all of it is freed when that fails. */
import { keep, requireWhole, type Tensor } from '@invnet/tensor';

let current: Construction | undefined;

/**
 * Something that is being built of modules and parameters: a constructor that makes several has one.
 * What they took over is freed at its end, unless it was completed; then it is the business of the
 * construction around it, if there is one.
 *
 * @example
 * using building = new Construction();
 * this.first = new ConvLayer(options);
 * this.second = new ConvLayer(options); // when this throws, the first is freed
 * building.complete();
 */
export class Construction implements Disposable {
  readonly #outer = current;
  readonly #largest: number;
  readonly #owned = new Set<Tensor>();
  #complete = false;

  /** @param largest - the largest size that anything in it may have. */
  constructor(largest = current?.largest ?? Number.POSITIVE_INFINITY) {
    if (largest !== Number.POSITIVE_INFINITY) requireWhole('build', 'largestSize', largest, 0);
    this.#largest = largest;
    current = this;
  }

  get largest(): number {
    return this.#largest;
  }

  take(t: Tensor): void {
    this.#owned.add(t);
  }

  free(t: Tensor): void {
    if (this.#owned.delete(t)) t.dispose();
  }

  complete(): void {
    this.#complete = true;
  }

  [Symbol.dispose](): void {
    current = this.#outer;
    for (const t of this.#owned) {
      if (this.#complete) this.#outer?.take(t);
      else t.dispose();
    }
  }
}

/** The largest size that what is being built may have. */
export function largestSize(): number {
  return current?.largest ?? Number.POSITIVE_INFINITY;
}

/** Takes a tensor out of all scopes, for a parameter or a buffer. */
export function own(t: Tensor): Tensor {
  current?.take(t);
  return keep(t);
}

/** Frees a tensor if it was taken over while what is being built was; others may be someone's. */
export function disown(t: Tensor): void {
  current?.free(t);
}
