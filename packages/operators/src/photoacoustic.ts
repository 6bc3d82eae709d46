/** Photoacoustic tomography: sound of what a flash of light has heated. Mathematics: docs/math/operators/photoacoustic.md */
import {
  affine,
  clone,
  concat,
  div,
  keep,
  leapfrog,
  mul,
  requireOptions,
  type Shape,
  slice,
  sub,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';
import { ImagingOperator } from './operator.ts';
import {
  type Position,
  type WaveCoefficients,
  WaveGrid,
  type WaveGridOptions,
  waveGridNames,
} from './wave-grid.ts';

/** Options of `Photoacoustic`. */
export interface PhotoacousticOptions extends WaveGridOptions {
  /** Squared slowness m = 1/c²: [1, 1, height, width], or of each sample, [N, 1, height, width]. */
  readonly medium: Tensor;
  /** Positions of the sensors, as lengths down and across from the middle of the first cell. */
  readonly sensors: readonly Position[];
}

/**
 * d = F p₀, what sensors record of waves that start as a pressure p₀ at rest, [N, 1, height, width] to [N, times, sensors]:
 *
 *   m ∂²u/∂t² − Δu + η ∂u/∂t = 0,   u(0) = p₀,   ∂u/∂t(0) = 0.
 *
 * Scheme, border, units and backends are those of `AcousticWave`. The adjoint is exact.
 *
 * @example
 * const ring = Array.from({ length: 64 }, (_, i) => [
 *   6.3 + 6 * Math.sin((i * Math.PI) / 32), 6.3 + 6 * Math.cos((i * Math.PI) / 32), // mm
 * ] as const);
 * const operator = new Photoacoustic({
 *   ...{ size: [64, 64], spacing: 0.2, timeStep: 0.05, steps: 200 }, // mm and µs
 *   medium: full([1, 1, 64, 64], 1 / 1.5 ** 2), sensors: ring,
 * });
 * const data = operator.forward(pressure); // [N, 200, 64]
 */
export class Photoacoustic extends ImagingOperator {
  readonly domain: Shape;
  readonly range: Shape;
  readonly #grid: WaveGrid;
  readonly #sensors: readonly Position[];
  readonly #coefficients: WaveCoefficients;

  /** @throws ValueError, ShapeError, BackendError */
  constructor(options: PhotoacousticOptions) {
    super();
    requireOptions('Photoacoustic', options, [...waveGridNames, 'medium', 'sensors']);
    const grid = new WaveGrid('Photoacoustic', options);
    this.#grid = grid;
    this.#sensors = grid.cells('sensors', options.sensors);
    const numbers = grid.read('medium', options.medium);
    this.#coefficients = tidy(() => grid.coefficients(numbers, numbers, options.medium));
    keep(this.#coefficients.gain);
    keep(this.#coefficients.decay);
    this.domain = [1, ...grid.size];
    this.range = [grid.times, this.#sensors.length];
  }

  override get batch(): number | undefined {
    const [media] = this.#coefficients.gain.shape;
    return media === 1 ? undefined : media;
  }

  protected apply(pressure: Tensor): Tensor {
    const { times } = this.#grid;
    const [samples = 0] = pressure.shape;
    const current = this.#pad(pressure);
    // The field before the first step is the one behind it, which is what being at rest means.
    const previous = this.#spread(current);
    const series = zeros([samples, 1, times, this.#sensors.length], pressure);
    this.#run(samples, { record: this.#atSensors(series), state: { previous, current } });
    return series.reshape([samples, ...this.range]);
  }

  protected applyAdjoint(r: Tensor): Tensor {
    const { gain, decay } = this.#coefficients;
    const [samples = 0] = r.shape;
    const grid = [samples, 1, ...this.#grid.shape];
    const state = { previous: zeros(grid, r), current: zeros(grid, r) };
    const series = r.reshape([samples, 1, ...this.range]);
    this.#run(samples, { reverse: true, inject: this.#atSensors(series), state });
    const twice = affine(perSample(decay), 1, 1);
    const old = this.#spread(mul(state.previous, div(perSample(decay), twice)));
    return this.#crop(div(sub(state.current, mul(twice, old)), perSample(gain)));
  }

  override dispose(): void {
    this.#coefficients.gain.dispose();
    this.#coefficients.decay.dispose();
  }

  /** u + γ/(1 + β) Δu on the grid, as a step without a past. */
  #spread(u: Tensor): Tensor {
    const { gain, decay } = this.#coefficients;
    const { border, spacing } = this.#grid;
    const current = clone(u);
    leapfrog({
      ...{ fields: [u.shape[0]!, 1], border, spacing, steps: 1 },
      gain: div(gain, affine(decay, 1, 1)),
      decay: zeros(decay.shape, decay),
      state: { previous: zeros(u.shape, u), current },
    });
    return current;
  }

  #run(
    samples: number,
    what: Pick<Parameters<typeof leapfrog>[0], 'reverse' | 'inject' | 'record' | 'state'>,
  ): void {
    const { border, spacing, steps } = this.#grid;
    leapfrog({ ...this.#coefficients, fields: [samples, 1], border, spacing, steps, ...what });
  }

  #atSensors(series: Tensor) {
    return { points: this.#sensors, every: this.#grid.every, series };
  }

  /** An image with zeros in the border. */
  #pad(image: Tensor): Tensor {
    const { border } = this.#grid;
    return [2, 3].reduce((x, axis) => {
      if (border === 0) return x;
      const shape = x.shape.map((size, i) => (i === axis ? border : size));
      return concat([zeros(shape, x), x, zeros(shape, x)], axis);
    }, clone(image));
  }

  #crop(grid: Tensor): Tensor {
    const { border, size } = this.#grid;
    return slice(slice(grid, 2, border, size[0]), 3, border, size[1]);
  }
}

/** Coefficients [M, Z, X] beside fields [N, 1, Z, X]. */
function perSample(x: Tensor): Tensor {
  const [media = 0, ...grid] = x.shape;
  return x.reshape([media, 1, ...grid]);
}
