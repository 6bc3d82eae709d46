/** What computes the waves of an `AcousticWave`: ours, or another program behind this interface. */
import type { Tensor } from '@invnet/tensor';
import type { Position, WaveCoefficients, WaveGrid } from './wave-grid.ts';

/** A medium m of a run, [M, 1, height, width], and what its grid makes of it. */
export interface Medium extends WaveCoefficients {
  readonly m: Tensor;
}

/** What does not change while an `AcousticWave` lives. */
export interface WaveSetup {
  readonly grid: WaveGrid;
  /** Rows and columns of the image, between cells too. */
  readonly receivers: readonly Position[];
  readonly sources: readonly Position[];
  readonly shots: number;
  /** A number for each step. */
  readonly wavelet: Float64Array;
}

/**
 * Runs of wave fields from sources to receivers. Data are [N, shots, times, receivers], images [N, 1, height, width],
 * weights [1 | N, shots, sources]; media and fields are those of one sample for all, or of each. Results belong to the caller.
 *
 * @template Field - The acceleration ü of the sources' field, in a form that its engine knows.
 */
export interface WavePropagation<Field extends Disposable = Disposable> extends Disposable {
  /** F: what receivers record. */
  model(medium: Medium, weights: Tensor, samples: number): Tensor;
  /** The sources' field in the image, for the other methods. */
  field(medium: Medium, weights: Tensor, samples: number): Field;
  /** J dm: what receivers record of the waves that −dm ü sends out. */
  scatter(medium: Medium, field: Field, dm: Tensor): Tensor;
  /** Jᵀ r: the image of data that are sent back. */
  migrate(medium: Medium, field: Field, r: Tensor): Tensor;
  /** The derivative of m ↦ J(m)ᵀ r along dm. */
  bend(medium: Medium, field: Field, r: Tensor, dm: Tensor): Tensor;
}

/**
 * An engine that `AcousticWave` runs on in the place of ours, such as the `Devito` of `@invnet/devito`.
 *
 * @example const wave = new AcousticWave({ ...options, engine: devito });
 */
export interface WaveEngine {
  propagation(setup: WaveSetup): WavePropagation;
}
