/** Runs of wave fields from sources to receivers, as `AcousticWave` and `BornOperator` put them together. */
import {
  affine,
  div,
  leapfrog,
  mul,
  neg,
  ones,
  sum,
  type Tensor,
  tensor,
  zeros,
} from '@invnet/tensor';
import type { Medium, WavePropagation, WaveSetup } from './wave-engine.ts';

/** Our engine. A field is dt² ü, [N, shots, steps − 1, height, width]. */
export class Propagation implements WavePropagation<Tensor> {
  readonly #setup: WaveSetup;

  constructor(setup: WaveSetup) {
    this.#setup = setup;
  }

  model(medium: Medium, weights: Tensor, samples: number): Tensor {
    const data = this.#data(samples, medium.m);
    const inject = this.#driven(weights, samples);
    this.#run(medium, samples, { inject, record: this.#atReceivers(data) });
    return data;
  }

  /** dt² ü of the sources' field in the image. */
  field(medium: Medium, weights: Tensor, samples: number): Tensor {
    const keep = this.#field(samples, medium.m);
    this.#run(medium, samples, { inject: this.#driven(weights, samples), keep });
    return keep;
  }

  /** J dm: what receivers record of the field that dm scatters of one that was kept. */
  scatter(medium: Medium, field: Tensor, dm: Tensor): Tensor {
    const [samples = 0] = dm.shape;
    const data = this.#data(samples, dm);
    const scatter = { potential: this.#potential(medium, dm), field };
    this.#run(medium, samples, { scatter, record: this.#atReceivers(data) });
    return data;
  }

  /** Jᵀ r: the image of data sent back from the receivers, in a field that was kept. */
  migrate(medium: Medium, field: Tensor, r: Tensor): Tensor {
    const [samples = 0] = r.shape;
    const sum = zeros([samples, this.#setup.shots, ...this.#setup.grid.size], r);
    const inject = this.#atReceivers(r);
    this.#run(medium, samples, { reverse: true, inject, image: { sum, field } });
    return this.#imageOf(sum);
  }

  /** The derivative of m ↦ J(m)ᵀ r along dm. */
  bend(medium: Medium, field: Tensor, r: Tensor, dm: Tensor): Tensor {
    const [samples = 0] = dm.shape;
    const potential = this.#potential(medium, dm);
    const sum = zeros([samples, this.#setup.shots, ...this.#setup.grid.size], r);
    const change = this.#field(samples, dm);
    this.#run(medium, samples, { scatter: { potential, field }, keep: change });
    const back = this.#field(samples, dm);
    const inject = this.#atReceivers(r);
    const image = { sum, field: change };
    this.#run(medium, samples, { reverse: true, inject, keep: back, image });
    const scatter = { potential, field: back };
    this.#run(medium, samples, { reverse: true, scatter, image: { sum, field } });
    return this.#imageOf(sum);
  }

  /** There is nothing that it holds. */
  [Symbol.dispose](): void {}

  #run(
    { gain, decay }: Medium,
    samples: number,
    what: Pick<
      Parameters<typeof leapfrog>[0],
      'reverse' | 'inject' | 'record' | 'scatter' | 'keep' | 'image'
    >,
  ): void {
    const { border, spacing, steps } = this.#setup.grid;
    leapfrog({
      gain,
      decay,
      fields: [samples, this.#setup.shots],
      border,
      spacing,
      steps,
      ...what,
    });
  }

  #data(samples: number, place: Tensor): Tensor {
    return zeros(
      [samples, this.#setup.shots, this.#setup.grid.times, this.#setup.receivers.length],
      place,
    );
  }

  #field(samples: number, place: Tensor): Tensor {
    return zeros(
      [samples, this.#setup.shots, this.#setup.grid.steps - 1, ...this.#setup.grid.size],
      place,
    );
  }

  #atReceivers(series: Tensor) {
    return { points: this.#setup.receivers, every: this.#setup.grid.every, series };
  }

  /** The wavelet at each source with its weight. */
  #driven(weights: Tensor, samples: number) {
    const wavelet = tensor(this.#setup.wavelet, [1, 1, this.#setup.grid.steps, 1], weights);
    const [count = 0] = weights.shape;
    const each = weights.reshape([count, this.#setup.shots, 1, this.#setup.sources.length]);
    const series = mul(each, mul(wavelet, ones([samples, 1, 1, 1], weights)));
    return { points: this.#setup.sources, series };
  }

  /** −dm/m = −γ dm/dt², for there is no damping in the image. */
  #potential(medium: Medium, dm: Tensor): Tensor {
    const [samples = 0] = dm.shape;
    const { m } = medium;
    return neg(div(dm, m)).reshape([samples, ...this.#setup.grid.size]);
  }

  /** −1/dt² times the sum over shots. */
  #imageOf(fields: Tensor): Tensor {
    const [samples = 0] = fields.shape;
    const image = sum(fields, { axes: [1] });
    return affine(image, -1 / this.#setup.grid.timeStep ** 2).reshape([
      samples,
      1,
      ...this.#setup.grid.size,
    ]);
  }
}
