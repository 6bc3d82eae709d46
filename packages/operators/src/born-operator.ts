/** Linearized waves. Mathematics: docs/math/operators/acoustic-wave.md */
import { keep, type Shape, Tensor, tidy } from '@invnet/tensor';
import { ImagingOperator } from './operator.ts';
import type { Medium, WavePropagation, WaveSetup } from './wave-engine.ts';

/** What an `AcousticWave` is at a time: its background, and the weights of its sources. */
export interface Survey {
  readonly medium: Medium;
  /** [1 | N, shots, sources] */
  readonly weights: Tensor;
}

/**
 * d = J δm, the Born approximation: what the receivers of an `AcousticWave` record of the waves that a small change δm
 * of the squared slowness scatters, [N, 1, height, width] to [N, shots, times, receivers]; with its exact adjoint, which
 * is reverse-time migration. `AcousticWave.born` is one.
 *
 * The background's field is modelled when it is needed first, and kept: 4 · (steps − 1) · height · width bytes a
 * shot. `AcousticWave.set` lets go of it.
 *
 * @example
 * const migrated = wave.born.adjoint(data); // [N, 1, height, width]
 */
export class BornOperator extends ImagingOperator {
  readonly domain: Shape;
  readonly range: Shape;
  readonly #propagation: WavePropagation;
  readonly #survey: () => Survey;
  #field: Disposable | undefined;

  /** @internal */
  constructor(
    { grid, shots, receivers }: WaveSetup,
    propagation: WavePropagation,
    survey: () => Survey,
  ) {
    super();
    this.domain = [1, ...grid.size];
    this.range = [shots, grid.times, receivers.length];
    this.#propagation = propagation;
    this.#survey = survey;
  }

  override get batch(): number | undefined {
    const samples = this.#samples();
    return samples === 1 ? undefined : samples;
  }

  protected apply(dm: Tensor): Tensor {
    return this.#propagation.scatter(this.#survey().medium, this.#kept(), dm);
  }

  protected applyAdjoint(r: Tensor): Tensor {
    return this.#propagation.migrate(this.#survey().medium, this.#kept(), r);
  }

  /** Lets go of the background's field; it is modelled again when it is needed. */
  override dispose(): void {
    this.#field?.[Symbol.dispose]();
    this.#field = undefined;
  }

  /** Of the survey: 1 unless they have media or weights of their own. */
  #samples(): number {
    const { medium, weights } = this.#survey();
    return Math.max(medium.m.shape[0]!, weights.shape[0]!);
  }

  #kept(): Disposable {
    if (!this.#field) {
      const { medium, weights } = this.#survey();
      this.#field = tidy(() => this.#propagation.field(medium, weights, this.#samples()));
      if (this.#field instanceof Tensor) keep(this.#field);
    }
    return this.#field;
  }
}
