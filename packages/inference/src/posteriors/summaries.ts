/** Summaries of several observations, as the contexts of many samples. */
import type { HostArray } from '@invnet/datasets';
import { type Tensor, tensor } from '@invnet/tensor';

/** Summaries on the host, and contexts of them for rows that go through all samples of each observation in turn. */
export class Summaries {
  readonly count: number;
  readonly #features: number;
  readonly #data: Float32Array | Float64Array;

  constructor({ shape, data }: HostArray) {
    this.count = shape[0]!;
    this.#features = shape[1]!;
    this.#data = data;
  }

  /** For `rows` rows from `from` on, of which each observation has `each`. One for all where it is one. */
  rows(from: number, rows: number, each: number): Tensor {
    if (this.count === 1) return this.one(0);
    return this.at(
      Array.from({ length: rows }, (_, i) => from + i),
      each,
    );
  }

  /** For rows of these indices, of which each observation has `each`. */
  at(indices: readonly number[], each: number): Tensor {
    if (this.count === 1) return this.one(0);
    const data = new Float64Array(indices.length * this.#features);
    indices.forEach((index, i) => {
      data.set(this.#one(Math.floor(index / each)), i * this.#features);
    });
    return tensor(data, [indices.length, this.#features]);
  }

  /** Of one observation, [1, features]. */
  one(k: number): Tensor {
    return tensor(this.#one(k), [1, this.#features]);
  }

  #one(k: number) {
    return this.#data.slice(k * this.#features, (k + 1) * this.#features);
  }
}
