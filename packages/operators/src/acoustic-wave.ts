/**
 * Acoustic waves in two dimensions, at constant density, from sources to receivers: the physics of seismic imaging.
 * Mathematics: docs/math/operators/acoustic-wave.md
 *
 * Left out: free surfaces, and density.
 */
import {
  clone,
  formatShape,
  formatValue,
  keep,
  requireFinite,
  requireFunction,
  requireOptions,
  requireRecord,
  requireTensor,
  type Shape,
  ShapeError,
  type Tensor,
  tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { BornOperator, type Survey } from './born-operator.ts';
import { Propagation } from './propagation.ts';
import type { Medium, WaveEngine, WavePropagation, WaveSetup } from './wave-engine.ts';
import {
  type MediumNumbers,
  type Position,
  WaveGrid,
  type WaveGridOptions,
  waveGridNames,
} from './wave-grid.ts';

/** What `AcousticWave` takes that may change from step to step. */
export interface SurveyOptions {
  /** Squared slowness m₀ = 1/c²: [1, 1, height, width], or of each sample, [N, 1, height, width]. */
  readonly background?: Tensor;
  /** Weights of the sources in each shot: [shots, sources], or of each sample, [N, shots, sources]. */
  readonly weights?: Tensor;
}

/** Options of `AcousticWave`. */
export interface AcousticWaveOptions extends WaveGridOptions, SurveyOptions {
  readonly background: Tensor;
  /** Default: a shot for each source. */
  readonly weights?: Tensor;
  /** Positions of the sources, as lengths down and across from the middle of the first cell. */
  readonly sources: readonly Position[];
  readonly receivers: readonly Position[];
  /** What a source does at each of `steps` times: `ricker` makes one. */
  readonly wavelet: ArrayLike<number>;
  /** What computes. Default: this package. */
  readonly engine?: WaveEngine;
}

/**
 * d = F(m), what receivers record of the waves u of some sources,
 *
 *   m ∂²u/∂t² − Δu + η ∂u/∂t = Σ_s w_s δ(x − x_s) q(t),   u = 0 before,
 *
 * with the squared slowness m = 1/c², [N, 1, height, width], and data [N, shots, times, receivers]. Derivatives are those of
 * the scheme, to rounding: J(m) dm (`jvp`), J(m)ᵀ r (`vjp`), and the derivative of J(m)ᵀ r along dm (`hvp`), which
 * `UnrolledLoop` takes as a non-linear operator. `born` is J at the background, as a linear one.
 *
 * The scheme is of 2nd order in time and of 8th order in space; δ is 1 in a cell. η damps in the border, where m stays
 * the background's. Units are any that are consistent: metres and milliseconds go with m in s²/km². It runs on
 * `wasm`, `native` and `reference`, on the backend of the background.
 *
 * @example
 * const timing = { timeStep: 2, steps: 600 };
 * const wave = new AcousticWave({
 *   ...{ size: [64, 96], spacing: 25, ...timing, every: 2 },
 *   sources: [[50, 400], [50, 1200], [50, 2000]],
 *   receivers: Array.from({ length: 48 }, (_, i) => [50, 50 * i]),
 *   wavelet: ricker({ ...timing, peakFrequency: 0.006 }), // kHz
 *   background: full([1, 1, 64, 96], 1 / 2.5 ** 2), // 2.5 km/s
 *   weights: tensor([[1, -1, 1]]), // one shot of all sources
 * });
 * const data = wave.forward(m); // [N, 1, 300, 48]
 * const image = wave.born.adjoint(data);
 */
export class AcousticWave implements Disposable {
  /** J at the background. */
  readonly born: BornOperator;
  readonly domain: Shape;
  readonly range: Shape;
  readonly #setup: WaveSetup;
  readonly #propagation: WavePropagation;
  #survey: Survey;
  #numbers: MediumNumbers;

  /** @throws ValueError, ShapeError, BackendError */
  constructor(options: AcousticWaveOptions) {
    requireOptions('AcousticWave', options, names);
    const { background, sources, receivers, wavelet, engine } = options;
    if (engine !== undefined) {
      requireRecord('AcousticWave', 'engine', engine, 'a WaveEngine, such as a Devito');
      requireFunction('AcousticWave', "the engine's propagation", engine.propagation);
    }
    const grid = new WaveGrid('AcousticWave', options);
    const cells = {
      receivers: grid.cells('receivers', receivers),
      sources: grid.cells('sources', sources),
    };
    const numbers = grid.read('background', background);
    const { weights } = options;
    const shots = weights
      ? (requireTensor('AcousticWave', weights, 'weights').shape.at(-2) ?? 1)
      : sources.length;
    this.#setup = { grid, ...cells, shots, wavelet: samplesOf(wavelet, grid.steps) };
    this.#numbers = numbers;
    this.#survey = this.#surveyOf(background, numbers, weights);
    try {
      this.#propagation = engine?.propagation(this.#setup) ?? new Propagation(this.#setup);
    } catch (error) {
      free(this.#survey);
      throw error;
    }
    this.born = new BornOperator(this.#setup, this.#propagation, () => this.#survey);
    this.domain = this.born.domain;
    this.range = this.born.range;
  }

  /**
   * Changes the background or the weights; `born` is J there from then on. Both are copied.
   *
   * @throws ValueError, ShapeError; nothing has changed then
   * @example wave.set({ background: slownesses, weights: random.normal([N, 1, 21]) });
   */
  set(options: SurveyOptions): void {
    requireOptions('AcousticWave', options, ['background', 'weights']);
    const { background = this.#survey.medium.m, weights = this.#survey.weights } = options;
    const numbers = options.background
      ? this.#setup.grid.read('background', background)
      : this.#numbers;
    const before = this.#survey;
    this.#survey = this.#surveyOf(background, numbers, weights);
    this.#numbers = numbers;
    this.born.dispose();
    free(before);
  }

  /** F(m) */
  forward(m: Tensor): Tensor {
    return tidy(() => {
      const medium = this.#mediumOf(m);
      return this.#propagation.model(medium, this.#survey.weights, m.shape[0]!);
    });
  }

  /** J(m) dm */
  jvp(m: Tensor, dm: Tensor): Tensor {
    return tidy(() => {
      const medium = this.#mediumOf(m);
      this.#require('dm', dm, m.shape[0]!, this.domain);
      using field = this.#field(medium);
      return this.#propagation.scatter(medium, field, dm);
    });
  }

  /** J(m)ᵀ r, the gradient of ⟨F(m), r⟩ */
  vjp(m: Tensor, r: Tensor): Tensor {
    return tidy(() => {
      const medium = this.#mediumOf(m);
      this.#require('r', r, m.shape[0]!, this.range);
      using field = this.#field(medium);
      return this.#propagation.migrate(medium, field, r);
    });
  }

  /** The derivative of m ↦ J(m)ᵀ r along dm, with r held: the Hessian of ⟨F(m), r⟩ times dm. */
  hvp(m: Tensor, r: Tensor, dm: Tensor): Tensor {
    return tidy(() => {
      const medium = this.#mediumOf(m);
      this.#require('r', r, m.shape[0]!, this.range);
      this.#require('dm', dm, m.shape[0]!, this.domain);
      using field = this.#field(medium);
      return this.#propagation.bend(medium, field, r, dm);
    });
  }

  /** Frees the background, the weights, what `born` keeps, and what the engine does. */
  dispose(): void {
    this.born.dispose();
    this.#propagation[Symbol.dispose]();
    free(this.#survey);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #field(medium: Medium): Disposable {
    const [samples = 0] = medium.m.shape;
    return this.#propagation.field(medium, this.#survey.weights, samples);
  }

  #mediumOf(m: Tensor): Medium {
    const { grid } = this.#setup;
    const { medium, weights } = this.#survey;
    const samples = Math.max(medium.m.shape[0]!, weights.shape[0]!);
    this.#require('m', m, samples === 1 ? undefined : samples, this.domain);
    return { m, ...grid.coefficients(grid.read('m', m), this.#numbers, m) };
  }

  /** @throws ShapeError unless x is [N, ...sample], of so many samples where it is told. */
  #require(name: string, x: Tensor, samples: number | undefined, sample: Shape): void {
    const { shape } = requireTensor('AcousticWave', x, name);
    const expected = [samples ?? shape[0] ?? 1, ...sample];
    if (formatShape(shape) === formatShape(expected)) return;
    throw new ShapeError(
      `AcousticWave: ${name} is ${formatShape(shape)}; expected [${[samples ?? 'N', ...sample].join(', ')}].`,
    );
  }

  #surveyOf(background: Tensor, numbers: MediumNumbers, weights?: Tensor): Survey {
    const { grid, shots, sources } = this.#setup;
    const { shape } = weights
      ? requireTensor('AcousticWave', weights, 'weights')
      : { shape: [shots, shots] };
    const [count, ...each] = shape.length === 2 ? [1, ...shape] : shape;
    const { count: media } = numbers;
    const several = count !== 1 && media !== 1 && count !== media;
    if (formatShape(each) !== formatShape([shots, sources.length]) || several) {
      const samples = media === 1 ? 'N' : media;
      throw new ShapeError(
        `AcousticWave: weights are ${formatShape(shape)}; expected [${shots}, ${sources.length}], or ` +
          `[${samples}, ${shots}, ${sources.length}] for each sample its own.`,
      );
    }
    return tidy(() => {
      const { gain, decay } = grid.coefficients(numbers, numbers, background);
      const medium = { m: keep(clone(background)), gain: keep(gain), decay: keep(decay) };
      const copy = weights ? clone(weights) : identity(shots, background);
      return { medium, weights: keep(copy.reshape([count!, shots, sources.length])) };
    });
  }
}

const names = [
  ...waveGridNames,
  'sources',
  'receivers',
  'wavelet',
  'background',
  'weights',
  'engine',
];

function free({ medium, weights }: Survey): void {
  for (const x of [medium.m, medium.gain, medium.decay, weights]) x.dispose();
}

function identity(size: number, place: Tensor): Tensor {
  const values = new Float64Array(size * size);
  for (let i = 0; i < size; i++) values[i * (size + 1)] = 1;
  return tensor(values, [size, size], place);
}

/** @throws ValueError unless they are finite numbers, one for each step. */
function samplesOf(wavelet: ArrayLike<number>, steps: number): Float64Array {
  if (!Array.isArray(wavelet) && !ArrayBuffer.isView(wavelet)) {
    throw new ValueError(
      `AcousticWave: wavelet is ${formatValue(wavelet)}; expected a list of ${steps} numbers.`,
    );
  }
  if (wavelet.length !== steps) {
    throw new ValueError(
      `AcousticWave: wavelet has ${wavelet.length} numbers; expected ${steps}, one for each step.`,
    );
  }
  for (let i = 0; i < steps; i++) requireFinite('AcousticWave', `wavelet[${i}]`, wavelet[i]!);
  return Float64Array.from(wavelet);
}
