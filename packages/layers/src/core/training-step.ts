/**
 * A training step: while its loss is computed, what depends on data may set itself, and running
 * statistics are gathered. Outside of one, no evaluation changes a module.
 */
import {
  accumulate,
  add,
  affine,
  clone,
  formatValue,
  keep,
  requireFunction,
  requireSameShape,
  requireSynchronous,
  type Tensor,
  tidy,
  ValueError,
} from '@invnet/tensor';
import { type Counter, type Flag, TensorBuffer } from '../tree/buffer.ts';
import type { Module } from '../tree/module.ts';

/** A module some of whose parameters are set by the first data that it is trained on. */
export interface DataDependent extends Module {
  /** Has it happened? Then data change the module no more. */
  readonly initialized: Flag;
  /** Will the first data set it? Not when it has happened, nor what is frozen. */
  readonly awaitsData: boolean;
  /** Back to the start: as before any data. */
  reset(): void;
}

/** Other processes that make the same step at the same time, each on data of its own. */
export interface Ranks {
  /** How many processes, this one included. */
  readonly size: number;
  /** Puts the mean over all processes in the place of a tensor's numbers. All of them call it. */
  average(t: Tensor): void;
}

/** The values of a statistic that a step's evaluations gave. */
interface Gathered {
  readonly sum: Tensor;
  count: number;
  readonly momentum: number;
}

let active: TrainingStep | undefined;

/** The step whose loss is being computed, if any. */
export function activeStep(): TrainingStep | undefined {
  return active;
}

/** Runs `fn` as outside of any step: looking at a network, in the midst of a loss, changes nothing. */
export function outsideSteps<T>(fn: () => T): T {
  return within(undefined, fn);
}

function within<T>(step: TrainingStep | undefined, fn: () => T): T {
  requireFunction('TrainingStep.run', 'fn', fn);
  const outer = active;
  active = step;
  try {
    return fn();
  } finally {
    active = outer;
  }
}

/**
 * One step of training. `run` computes the loss, in which layers such as `ActNorm` set themselves on
 * the first data that they see; then either `commit`, when the step has counted, or `rollback`, which
 * leaves everything as it was before. `train` does all of this; it is for training loops of one's own.
 *
 * @example
 * const step = new TrainingStep();
 * const loss = step.run(() => negativeLogLikelihood(flow, x));
 * step.commit(() => optimizer.step(flow.parameters, { learningRate: 1e-3 })); // and running statistics
 */
export class TrainingStep {
  /** The processes whose batches together are the data of this step; undefined where one has them all. */
  readonly ranks: Ranks | undefined;
  readonly #initialized: DataDependent[] = [];
  readonly #statistics = new Map<TensorBuffer, Gathered>();
  readonly #counters = new Set<Counter>();

  /** @param ranks - With whom this process makes the step, as `train` does for a communicator. */
  constructor(ranks?: Ranks) {
    if (ranks !== undefined) requireFunction('TrainingStep', "the ranks' average", ranks?.average);
    this.ranks = ranks;
  }

  /** Computes `fn`, which must be synchronous, as part of this step, which is rolled back when it throws. */
  run<T>(fn: () => T): T {
    try {
      const result = within(this, fn);
      requireSynchronous('TrainingStep.run', result);
      return result;
    } catch (error) {
      this.rollback();
      throw error;
    }
  }

  /**
   * Moves each running statistic once, r ← (1 − m) r + m v with the momentum m and the mean v of what
   * the step's evaluations gave, and the counters of noise that was drawn. Given an update, such as the optimizer's, it does both or neither.
   */
  commit(update?: () => void): void {
    const statistics = [...this.#statistics];
    const moved = tidy(() =>
      statistics.map(([{ data }, { sum, count, momentum }]) =>
        add(affine(data, 1 - momentum), affine(sum, momentum / count)),
      ),
    );
    try {
      update?.();
      // From here on nothing asks for memory.
      statistics.forEach(([{ data }], i) => {
        data.swap(moved[i]!);
      });
    } finally {
      for (const t of moved) t.dispose();
    }
    for (const counter of this.#counters) counter.advance();
    this.discard();
    this.#initialized.length = 0;
  }

  /** Forgets the statistics that were gathered, and the draws. */
  discard(): void {
    this.#counters.clear();
    for (const { sum } of this.#statistics.values()) sum.dispose();
    this.#statistics.clear();
  }

  /** Forgets the statistics, and undoes the initializations that happened in this step. */
  rollback(): void {
    this.discard();
    for (const module of this.#initialized.splice(0)) module.reset();
  }

  /** Called by what has just set itself on data. */
  noteInitialized(module: DataDependent): void {
    this.#initialized.push(module);
  }

  /** The modules that were initialized in this step. */
  get initialized(): readonly DataDependent[] {
    return this.#initialized;
  }

  /** Called by an evaluation whose noise is numbered by a counter: `commit` counts on, once. */
  noteDraw(counter: Counter): void {
    requireFunction('TrainingStep.noteDraw', "the counter's advance", counter?.advance);
    this.#counters.add(counter);
  }

  /** Called by an evaluation with the value of a statistic on its batch. */
  gather(buffer: TensorBuffer, value: Tensor, momentum: number): void {
    if (!(buffer instanceof TensorBuffer)) {
      throw new ValueError(
        `TrainingStep.gather: got ${formatValue(buffer)}; expected a TensorBuffer.`,
      );
    }
    requireSameShape('TrainingStep.gather', buffer.data, value);
    const gathered = this.#statistics.get(buffer);
    if (gathered) {
      accumulate(gathered.sum, value);
      gathered.count += 1;
    } else this.#statistics.set(buffer, { sum: keep(clone(value)), count: 1, momentum });
  }
}
