/** Where waves are sent out and recorded, and the linear map from images to data that is inverted. */
import {
  AcousticWave,
  type BornOperator,
  ImagingOperator,
  ricker,
  type WaveEngine,
} from '@invnet/operators';
import {
  affine,
  full,
  keep,
  mul,
  type RandomStream,
  type Shape,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';

/** Of a survey; lengths are in metres, times in milliseconds. */
export interface SurveyOptions {
  /** Cells down and across. */
  readonly size: readonly [height: number, width: number];
  readonly steps: number;
  /** In kHz. */
  readonly peakFrequency: number;
}

/** Surveys by the width and height of their images: 1.6 s at 6 Hz, and 2 s at 8 Hz. */
export const surveys = {
  '96x64': { size: [64, 96], steps: 641, peakFrequency: 0.006 },
  '400x120': { size: [120, 400], steps: 801, peakFrequency: 0.008 },
} as const satisfies Record<string, SurveyOptions>;

/** Between cells. */
export const spacing = 25;
const timeStep = 2.5;
const every = 4;
/** Between times of the data. */
export const interval = every * timeStep;
const sources = 21;
const depth = { sources: 25, receivers: 50 };
/** An image is a change of squared slowness in units of so many s²/km², and varies by about 1. */
const unit = 0.02;

/** What changes from case to case. */
export interface Physics {
  /** Squared slowness, row by row. */
  readonly background: Float32Array;
  /** 1 where an image may be, 0 elsewhere. */
  readonly rock: Float32Array;
  /** Of the sources, which go off together. */
  readonly weights: Float32Array;
  /** Data are so many times those that are recorded. */
  readonly gain: number;
}

/**
 * d = g J S x: what receivers along the surface record of the waves that an image x scatters, [N, 1, height, width], when
 * all sources go off at once. J is the Born operator of a background; S takes images to changes of squared slowness and
 * leaves out the water; g is a gain. `physics` is that of the case at hand.
 */
export class Survey extends ImagingOperator {
  readonly domain: Shape;
  readonly range: Shape;
  readonly size: readonly [number, number];
  readonly #wave: AcousticWave;
  #physics: Physics;
  #scale: Tensor;

  constructor({ size, steps, peakFrequency }: SurveyOptions, engine?: WaveEngine) {
    super();
    const [height, width] = size;
    const across = spacing * (width - 1);
    const ones = (count: number) => new Float32Array(count).fill(1);
    this.#physics = {
      background: ones(height * width),
      rock: ones(height * width),
      weights: ones(sources),
      gain: 1,
    };
    this.#scale = full([1, 1, height, width], unit);
    using background = full([1, 1, height, width], 1);
    using weights = full([1, sources], 1);
    this.#wave = new AcousticWave({
      ...{ size, spacing, timeStep, steps, every, background, weights },
      sources: Array.from({ length: sources }, (_, i) => [
        depth.sources,
        (across * (i + 0.5)) / sources,
      ]),
      receivers: Array.from({ length: width }, (_, i) => [depth.receivers, spacing * i]),
      wavelet: ricker({ timeStep, steps, peakFrequency }),
      ...(engine && { engine }),
    });
    this.size = size;
    this.domain = this.#born.domain;
    this.range = this.#born.range;
  }

  get physics(): Physics {
    return this.#physics;
  }

  set physics(physics: Physics) {
    if (physics === this.#physics) return;
    const shape = [1, ...this.domain];
    const { background: m, weights: w } = this.#physics;
    // Where they stay as they are, so does the field of the sources.
    if (physics.background !== m || physics.weights !== w) {
      using background = tensor(physics.background, shape);
      using weights = tensor(physics.weights, [1, sources]);
      this.#wave.set({ background, weights });
    }
    this.#scale.dispose();
    const scale = physics.rock.map((there) => physics.gain * unit * there);
    // It outlives the `tidy` in which the physics may change.
    this.#scale = keep(tensor(scale, shape));
    this.#physics = physics;
  }

  /** The images of changes of squared slowness, which are nought in the water. */
  imageOf(change: Float32Array): Tensor {
    return tensor(
      change.map((dm) => dm / unit),
      [1, ...this.domain],
    );
  }

  /** An image without what is in the water. */
  inRock(x: Tensor): Tensor {
    return tidy(() => mul(affine(this.#scale, 1 / (this.#physics.gain * unit)), x));
  }

  protected apply(x: Tensor): Tensor {
    return this.#born.forward(mul(this.#scale, x));
  }

  protected applyAdjoint(r: Tensor): Tensor {
    return mul(this.#scale, this.#born.adjoint(r));
  }

  override dispose(): void {
    this.#wave.dispose();
    this.#scale.dispose();
  }

  get #born(): BornOperator {
    return this.#wave.born;
  }
}

/** Weights of the sources: normal, of norm 1, so that one shot is about as strong as another. */
export function drawWeights(random: RandomStream): Float32Array {
  const drawn = random.normalArray(sources, 1);
  const norm = Math.hypot(...drawn);
  return Float32Array.from(drawn, (w) => w / norm);
}
