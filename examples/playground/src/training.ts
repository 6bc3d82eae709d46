/** The training of a flow on points of the plane: its data, its optimizer, and where it stands. */
import type { Samplable } from '@invnet/datasets';
import { type Flow, negativeLogLikelihood } from '@invnet/flows';
import type { Parameter } from '@invnet/layers';
import { RandomStream, resetPeakMemory, type Shape, type Tensor } from '@invnet/tensor';
import { Adam, constant, readSafetensors, restoreCheckpoint, train } from '@invnet/train';
import { samplable } from './data.ts';
import type { Config, DensityName, MemoryUse } from './protocol.ts';

const batchSize = 256;
const learningRate = 5e-3;

export class Training {
  readonly optimizer = new Adam();
  /** Steps so far. */
  step = 0;
  readonly #flow: Flow;
  readonly #parameters: readonly Parameter[];
  readonly #input: Shape;
  readonly #storedPerPoint: number | undefined;
  #data: { readonly density: DensityName; readonly points: Samplable } | undefined;
  #random: RandomStream | undefined;

  /** `parameters` are those of the module that files hold, under its names. */
  constructor(
    flow: Flow,
    parameters: readonly Parameter[],
    input: Shape,
    storedPerPoint: number | undefined,
  ) {
    this.#flow = flow;
    this.#parameters = parameters;
    this.#input = input;
    this.#storedPerPoint = storedPerPoint;
  }

  /** What it is trained on, once that was chosen. */
  get data(): { readonly density: DensityName; readonly points: Samplable } | undefined {
    return this.#data;
  }

  /** Chooses the data. @throws RangeError when too few points were drawn. */
  useData({ density, seed }: Config, drawn: Float32Array): void {
    this.#data = { density, points: samplable(density, drawn) };
    this.#random ??= new RandomStream(seed, 2 ** 40);
  }

  /** Trains until the signal; yields the loss of each step. */
  async *run(signal: AbortSignal): AsyncGenerator<{ loss: number; memory: MemoryUse }> {
    resetPeakMemory();
    const steps = train({
      parameters: this.#parameters,
      optimizer: this.optimizer,
      schedule: constant(learningRate),
      clipNorm: 5,
      signal,
      startStep: this.step,
      batches: this.#batches(),
      loss: (batch: Tensor) => negativeLogLikelihood(this.#flow, batch),
      disposeBatch: (batch: Tensor) => batch.dispose(),
    });
    const stored = this.#storedPerPoint && 4 * batchSize * this.#storedPerPoint;
    for await (const { step, loss, liveBytes, peakBytes } of steps) {
      this.step = step;
      yield { loss, memory: { live: liveBytes, peak: peakBytes, stored } };
      resetPeakMemory();
    }
  }

  /**
   * Goes on with what a file's optimizer remembers; with a fresh one when it has none.
   *
   * @throws CheckpointError when that does not fit.
   */
  restoreOptimizer(file: Uint8Array, name: string): void {
    const { optimizer } = this;
    if (readSafetensors(file, name).metadata['invnet.optimizer'] !== optimizer.name) return;
    restoreCheckpoint(file, { parameters: this.#parameters, optimizer }, name);
  }

  dispose(): void {
    this.optimizer.dispose();
  }

  *#batches(): Generator<Tensor> {
    for (;;) {
      const points = this.#data!.points.sample(batchSize, this.#random!);
      const batch = points.reshape([batchSize, ...this.#input]);
      points.dispose();
      yield batch;
    }
  }
}
