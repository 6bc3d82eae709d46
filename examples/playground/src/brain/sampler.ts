/** Samples of what a scan may have been of, and their moments so far. Runs in the worker. */
import { concat, RandomStream, type Tensor, tidy } from '@invnet/tensor';
import { fromCoordinates } from 'mri-posterior/coordinates';
import { magnitudes, psnrOf, squaredError } from './complex.ts';
import { type Posterior, size } from './protocol.ts';
import type { Shipped } from './shipped.ts';
import type { Simulation } from './simulation.ts';

export class Sampler {
  readonly #shipped: Shipped;
  readonly #simulation: Simulation;
  readonly #random: RandomStream;
  readonly #sum: Float64Array;
  readonly #squares: Float64Array;
  #error = 0;
  #count = 0;

  /** `seed` fixes all samples. */
  constructor(shipped: Shipped, simulation: Simulation, seed: number) {
    this.#shipped = shipped;
    this.#simulation = simulation;
    this.#random = new RandomStream(seed);
    this.#sum = new Float64Array(simulation.truth.length);
    this.#squares = new Float64Array(simulation.truth.length);
  }

  get count(): number {
    return this.#count;
  }

  /** Draws at least two more; what all of them say. */
  async draw(count: number): Promise<Posterior> {
    const { truth } = this.#simulation;
    using images = this.#sample(count);
    const values = await images.data();
    let sample = values;
    for (let i = 0; i < count; i++) {
      sample = values.subarray(i * truth.length, (i + 1) * truth.length);
      this.#error += squaredError(sample, truth);
      for (let j = 0; j < truth.length; j++) {
        this.#sum[j]! += sample[j]!;
        this.#squares[j]! += sample[j]! ** 2;
      }
    }
    this.#count += count;
    const mean = this.#sum.map((sum) => sum / this.#count);
    const deviation = this.#squares.map((sum, j) =>
      Math.sqrt(Math.max(0, sum - this.#count * mean[j]! ** 2) / (this.#count - 1)),
    );
    return {
      count: this.#count,
      sample: magnitudes(sample),
      mean: magnitudes(mean),
      deviation: magnitudes(deviation),
      error: magnitudes(mean.map((m, j) => m - truth[j]!)),
      samplePsnr: psnrOf(this.#error / this.#count),
      meanPsnr: psnrOf(squaredError(mean, truth)),
    };
  }

  #sample(count: number): Tensor {
    const { flow, kappa } = this.#shipped;
    const { data, operator, context } = this.#simulation;
    const repeated = (one: Tensor) => concat(Array<Tensor>(count).fill(one), 0);
    return tidy(() => {
      const shape = [count, 2, size, size];
      const v = flow.sample({ shape, seed: this.#random, context: repeated(context) });
      return fromCoordinates(v, { data: repeated(data), operator }, kappa);
    });
  }
}
