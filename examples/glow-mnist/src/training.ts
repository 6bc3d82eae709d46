/** Training within a budget of time or epochs, step by step. */
import { type BatchPlace, indexBatches, type Mnist, takeRows } from '@invnet/datasets';
import { bitsPerDim, dequantize, negativeLogLikelihood } from '@invnet/flows';
import { type RandomState, RandomStream, type Tensor } from '@invnet/tensor';
import { type Schedule, train } from '@invnet/train';
import { dims, side } from './model.ts';
import type { ProgressReport } from './progress.ts';
import type { Run } from './run-state.ts';

/** Steps over which the learning rate rises. */
const warmup = 50;
/** Part of the budget after which the learning rate falls. */
const decayStart = 0.4;
/** Gradients are scaled down to this global norm at most. */
const clipNorm = 100;

interface Batch {
  readonly x: Tensor;
  /** Where a run stands when this batch is done. */
  readonly next: BatchPlace;
  readonly noise: RandomState;
}

/**
 * Trains until the budget is used or the signal comes; after each step updates `run.state` and
 * yields what a progress bar shows.
 *
 * With `epochs`, equal seeds give equal losses to the last bit. With `minutes` they do as long as
 * the learning rate does not depend on the clock, which is the first part of the budget.
 *
 * @throws NonFiniteLossError
 */
export async function* trainWithinBudget(
  run: Run,
  data: Mnist,
  signal: AbortSignal,
): AsyncGenerator<ProgressReport, void, undefined> {
  const { config, budget, flow, optimizer, state } = run;
  const { batch: batchSize, seed } = config;
  const totalSteps =
    budget.epochs && Math.max(1, Math.round(budget.epochs * Math.floor(data.count / batchSize)));
  const started = performance.now();
  const secondsBefore = state.seconds;
  const seconds = () => secondsBefore + (performance.now() - started) / 1000;
  const used = () =>
    Math.min(1, totalSteps ? state.step / totalSteps : seconds() / (60 * budget.minutes));

  const noise = RandomStream.from(state.noise);
  let current: Batch | undefined;
  function* batches(): Generator<Batch, void, undefined> {
    for (const { indices, next } of indexBatches({
      count: data.count,
      batchSize,
      seed,
      start: state.place,
    })) {
      if (used() >= 1) return;
      const bytes = takeRows(data.images, indices, dims);
      const x = dequantize(bytes, [batchSize, 1, side, side], noise);
      current = { x, next, noise: noise.state };
      yield current;
    }
  }

  for await (const metrics of train({
    parameters: flow.parameters,
    optimizer,
    loss: ({ x }: Batch) => negativeLogLikelihood(flow, x),
    batches: batches(),
    schedule: trapezoid(budget.learningRate, used),
    clipNorm,
    signal,
    startStep: state.step,
    disposeBatch: ({ x }) => x.dispose(),
  })) {
    state.step = metrics.step;
    state.seconds = seconds();
    state.peakBytes = Math.max(state.peakBytes, metrics.peakBytes);
    state.place = current!.next;
    state.noise = current!.noise;
    state.bitsPerDim.push(bitsPerDim(metrics.loss, dims));
    const fraction = used();
    yield {
      fraction,
      step: metrics.step,
      bitsPerDim: state.bitsPerDim.at(-1)!,
      imagesPerSecond: (metrics.step * batchSize) / state.seconds,
      liveBytes: metrics.liveBytes,
      peakBytes: state.peakBytes,
      secondsLeft: (state.seconds * (1 - fraction)) / fraction,
    };
  }
}

/** Rises over the first steps, stays, and falls as half a cosine over the rest of the budget. */
function trapezoid(rate: number, used: () => number): Schedule {
  return (step) => {
    const decay = Math.max(0, (used() - decayStart) / (1 - decayStart));
    return rate * Math.min(1, (step + 1) / warmup) * 0.5 * (1 + Math.cos(Math.PI * decay));
  };
}
