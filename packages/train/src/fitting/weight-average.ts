/** The moving average of weights. Mathematics: docs/math/train/schedules.md */
import { type Parameter, ParameterMap } from '@invnet/layers';
import { accumulate, affine, clone, keep, type Tensor, tidy } from '@invnet/tensor';
import { CheckpointError, fitProblems, uploadLike } from '../array-checks.ts';
import type { HostTensor } from '../safetensors.ts';

/** θ̃ ← βθ̃ + (1 − β)θ after each update, beginning with θ itself; of parameters that are trained. */
export class WeightAverage implements Disposable {
  readonly #parameters: readonly Parameter[];
  readonly #decay: number;
  readonly #averages = new ParameterMap<Tensor>();

  constructor(parameters: readonly Parameter[], decay: number) {
    this.#parameters = parameters.filter((p) => !p.frozen);
    this.#decay = decay;
  }

  /** Takes the weights after an update into account. */
  update(): void {
    tidy(() => {
      for (const p of this.#parameters) {
        const average = this.#averages.get(p);
        if (!average) {
          this.#averages.set(p, keep(clone(p.data)));
          continue;
        }
        const next = affine(average, this.#decay);
        accumulate(next, p.data, 1 - this.#decay);
        average.swap(next);
      }
    });
  }

  /** Exchanges the weights for their averages, or back. Before the first update it does nothing. */
  swap(): void {
    for (const p of this.#parameters) {
      const average = this.#averages.get(p);
      if (!average) continue;
      p.data.swap(average);
      p.changed();
    }
  }

  /** All averages, on the host. */
  async state(): Promise<Map<string, HostTensor>> {
    const reads = this.#parameters.flatMap((p) => {
      const average = this.#averages.get(p);
      return average ? [{ p, data: average.data() }] : [];
    });
    const entries = reads.map(
      async ({ p, data }) => [p.name, { shape: p.shape, data: await data }] as const,
    );
    return new Map(await Promise.all(entries));
  }

  /** @throws CheckpointError when they do not fit. */
  load(state: ReadonlyMap<string, HostTensor>): void {
    const problems = fitProblems(this.#parameters, state);
    if (problems.length > 0) {
      throw new CheckpointError(`fit: the averages do not fit: ${problems.join('; ')}.`);
    }
    const loaded = tidy(() =>
      this.#parameters.map((p) => keep(uploadLike(p.name, p.data, state.get(p.name)!))),
    );
    this[Symbol.dispose]();
    this.#parameters.forEach((p, i) => {
      this.#averages.set(p, loaded[i]!);
    });
  }

  [Symbol.dispose](): void {
    for (const average of this.#averages.values()) average.dispose();
    for (const p of [...this.#averages.keys()]) this.#averages.delete(p);
  }
}
