/**
 * Training within a budget of time, steps or epochs, with a progress display and checkpoints.
 *
 * Left out: losses and data, which are each example's own.
 */
import type { Module } from '@invnet/layers';
import { resetPeakMemory, type Tensor, ValueError } from '@invnet/tensor';
import {
  CheckpointError,
  type Communicator,
  CommunicatorError,
  NonFiniteLossError,
  type Schedule,
  train,
} from '@invnet/train';
import type { Measure } from './options.ts';
import { Progress, type ProgressReport } from './progress.ts';
import { checkpointPath, isWriter, type Run, saveRun } from './run.ts';

/** What to train on, and how. */
export interface TrainingOptions<B> {
  /**
   * Batches without end, of which the first is that of step `step`: 0, or more when a run is resumed. A
   * batch follows from the seed and its step alone (see `randomStream`), so that a resumed run sees those
   * that it would have seen.
   */
  readonly batches: (step: number) => Iterable<B> | AsyncIterable<B>;
  /** Returns the loss of a batch, one number, and adds its gradient to the model's parameters'. */
  readonly loss: (batch: B) => Tensor;
  /** Called with each batch when it is done. */
  readonly disposeBatch?: (batch: B) => void;
  /** Ends training after the step under way. */
  readonly signal: AbortSignal;
  /** Steps in an epoch, where the budget is in those. */
  readonly stepsPerEpoch?: number;
  /** Samples in each step, and what they are called, where progress is told in samples. */
  readonly samples?: { readonly perStep: number; readonly called: string };
  /** Steps over which the learning rate rises. Default: 50. */
  readonly warmup?: number;
  /** Part of the budget after which the learning rate falls, as half a cosine. Default: 0.4. */
  readonly decayStart?: number;
  /** Gradients are scaled down to this global norm at most. Default: no limit. */
  readonly clipNorm?: number;
  /** Is called before each checkpoint. @throws CheckpointError when the model is not worth saving. */
  readonly check?: () => Promise<void>;
}

/** Milliseconds between checkpoints. */
const saveInterval = 20_000;

/**
 * Trains until the budget is used, shows how it goes, and saves the run every 20 seconds and at the end.
 * Ctrl-C saves once more.
 *
 * @throws NonFiniteLossError; CheckpointError when a file cannot be written, and the former one is kept.
 * @throws the signal's reason when it comes.
 * @example await trainRun(run, { signal, batches, loss: (x) => negativeLogLikelihood(run.model, x) });
 */
export async function trainRun<B>(run: Run, options: TrainingOptions<B>): Promise<void> {
  const { app, out, state, communicator } = run;
  const { samples, signal } = options;
  const writer = isWriter(communicator);
  const path = checkpointPath(out);
  let savedAt = performance.now();
  const save = async () => {
    // Before its first step a model is as it was drawn: there is nothing to save.
    if (state.step > 0 && run.savedStep !== state.step) {
      await options.check?.();
      await saveRun(run);
    }
    savedAt = performance.now();
  };
  try {
    const { unit } = app.measure ?? theLoss;
    const progress = writer ? new Progress({ unit, ...(samples && { samples }) }) : undefined;
    resetPeakMemory();
    try {
      for await (const report of trainWithinBudget(run, options)) {
        progress?.update(report);
        const due = ofRankZero(communicator, performance.now() - savedAt) > saveInterval;
        if (due) await save();
      }
    } finally {
      progress?.stop();
    }
    await save();
  } catch (error) {
    // The last update may have ruined the parameters as well; then they are not saved.
    if (writer && (error instanceof NonFiniteLossError || error instanceof CheckpointError)) {
      console.error(
        run.savedStep === undefined
          ? 'Training stopped; there is no checkpoint of it.'
          : `Training stopped; ${path} keeps step ${run.savedStep}, from which --resume goes on.`,
      );
    }
    throw error;
  }
  const stopped = communicator
    ? communicator.gather(signal.aborted).includes(true)
    : signal.aborted;
  if (stopped) {
    if (writer) {
      console.error(
        state.step === 0
          ? 'Stopped before the first step; nothing was written.'
          : `Stopped after step ${state.step}; the checkpoint is ${path}.`,
      );
    }
    throw signal.reason ?? new CommunicatorError('Another rank was told to stop.');
  }
}

/**
 * Trains until the budget is used or the signal comes; after each step updates `run.state` and yields what
 * a progress bar shows. Nothing is saved.
 *
 * By steps or epochs, equal seeds give equal losses to the last bit. By minutes they do as long as the
 * learning rate does not depend on the clock, which is the first part of the budget.
 *
 * @throws NonFiniteLossError
 */
export async function* trainWithinBudget<B>(
  run: Run<Module>,
  options: TrainingOptions<B>,
): AsyncGenerator<ProgressReport, void, undefined> {
  const { app, budget, model, optimizer, state, communicator } = run;
  const { warmup = 50, decayStart = 0.4, disposeBatch, clipNorm, signal } = options;
  const { of: measure } = app.measure ?? theLoss;
  const totalSteps = stepsIn(run, options);
  const started = performance.now();
  const secondsBefore = state.seconds;
  const seconds = () => secondsBefore + (performance.now() - started) / 1000;
  const used = () =>
    Math.min(1, totalSteps ? state.step / totalSteps : seconds() / (60 * budget.minutes!));

  async function* batches() {
    // Clocks differ, and all ranks train equally long.
    const done = () => ofRankZero(communicator, used()) >= 1;
    if (done()) return;
    for await (const batch of options.batches(state.step)) {
      yield batch;
      if (done()) return;
    }
  }

  for await (const metrics of train({
    parameters: model.parameters,
    optimizer,
    loss: options.loss,
    batches: batches(),
    schedule: trapezoid({ rate: budget.learningRate, warmup, decayStart, used }),
    clipNorm,
    signal,
    startStep: state.step,
    disposeBatch,
    communicator,
  })) {
    state.step = metrics.step;
    state.seconds = seconds();
    state.peakBytes = Math.max(state.peakBytes, metrics.peakBytes);
    state.losses.push(measure(metrics.loss));
    const fraction = used();
    yield {
      fraction,
      step: metrics.step,
      loss: state.losses.at(-1)!,
      stepsPerSecond: metrics.step / state.seconds,
      liveBytes: metrics.liveBytes,
      peakBytes: state.peakBytes,
      secondsLeft: (state.seconds * (1 - fraction)) / fraction,
    };
  }
}

/** What is recorded of a loss, unless the app says otherwise. */
export const theLoss: Measure = { name: 'loss', unit: 'loss', of: (loss) => loss };

/** Rank 0's number, where there are ranks. */
function ofRankZero(communicator: Communicator | undefined, own: number): number {
  if (!communicator) return own;
  const number = Float64Array.of(communicator.rank === 0 ? own : 0);
  communicator.sum(number);
  return number[0]!;
}

/** Steps in the budget; none where it is in minutes. */
function stepsIn<B>({ app, budget }: Run, { stepsPerEpoch }: TrainingOptions<B>) {
  const { steps, epochs } = budget;
  if (epochs === undefined) return steps;
  if (stepsPerEpoch) return Math.max(1, Math.round(epochs * stepsPerEpoch));
  throw new ValueError(`${app.name}: the budget is in epochs; expected stepsPerEpoch.`);
}

/** Rises over the first steps, stays, and falls as half a cosine over the rest of the budget. */
function trapezoid(options: {
  readonly rate: number;
  readonly warmup: number;
  readonly decayStart: number;
  readonly used: () => number;
}): Schedule {
  const { rate, warmup, decayStart, used } = options;
  return (step) => {
    const decay = Math.max(0, (used() - decayStart) / (1 - decayStart));
    return rate * Math.min(1, (step + 1) / warmup) * 0.5 * (1 + Math.cos(Math.PI * decay));
  };
}
