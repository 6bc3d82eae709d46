/**
 * Simulation-based calibration (Talts et al., 2018) of random linear functionals ⟨w, x⟩: the rank of the truth among its
 * samples is uniform, so the curve of each functional stays in a band, with 95 % probability as a whole.
 */
import { ecdfBand, ecdfDifference, rankAmong } from '@invnet/metrics';
import { matmul, type RandomStream, tensor } from '@invnet/tensor';
import type { PosteriorCase } from '../posterior.ts';
import type { Check } from './check.ts';

/** Curves of all functionals with their band. */
export interface FunctionalRanks {
  /** Places in (0, 1) of the curves. */
  readonly at: readonly number[];
  /** Empirical distribution of a functional's ranks less the uniform one. */
  readonly differences: readonly (readonly number[])[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
  /** Share of the functionals whose curve stays in the band. */
  readonly within: number;
}

/** Collects ranks. */
export class FunctionalRanksCheck implements Check<FunctionalRanks> {
  readonly #weights: Float64Array;
  readonly #ranks: number[][];
  #draws = 0;

  /** @param size - numbers of an image, D. */
  constructor(options: {
    readonly count: number;
    readonly size: number;
    readonly random: RandomStream;
  }) {
    const { count, size, random } = options;
    this.#weights = random.normalArray(count * size);
    this.#ranks = Array.from({ length: count }, () => []);
  }

  async add({ truth, samples }: PosteriorCase): Promise<void> {
    this.#draws = samples.length;
    const [truths, ...draws] = await this.#functionals([truth, ...samples]);
    for (const [k, ranks] of this.#ranks.entries()) {
      ranks.push(
        rankAmong(
          truths![k]!,
          draws.map((values) => values[k]!),
        ),
      );
    }
  }

  result(): FunctionalRanks {
    const draws = this.#draws;
    const band = ecdfBand({ count: this.#ranks[0]!.length, draws });
    const differences = this.#ranks.map((ranks) => [
      ...ecdfDifference(ranks, { draws }).difference,
    ]);
    const calibrated = differences.filter((curve) =>
      curve.every((d, k) => d >= band.lower[k]! && d <= band.upper[k]!),
    );
    return {
      at: [...band.at],
      differences,
      lower: [...band.lower],
      upper: [...band.upper],
      within: calibrated.length / differences.length,
    };
  }

  /** ⟨w, x⟩ for all functionals, of each image. */
  async #functionals(images: readonly Float32Array[]): Promise<ArrayLike<number>[]> {
    const size = images[0]!.length;
    const count = this.#ranks.length;
    const all = new Float32Array(images.length * size);
    for (const [i, image] of images.entries()) all.set(image, i * size);
    using x = tensor(all, [images.length, size]);
    using w = tensor(this.#weights, [count, size]);
    using products = matmul(x, w, { transposeB: true });
    const values = await products.data();
    return images.map((_, i) => values.slice(i * count, (i + 1) * count));
  }
}
