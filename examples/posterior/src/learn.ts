/** The training of an estimator, with a bar while it goes on, and a checkpoint to go on from. */
import { rm } from 'node:fs/promises';
import { neuralPosterior } from '@invnet/inference';
import { plateau } from '@invnet/train';
import { ProgressDisplay } from '@invnet/train/progress';
import { clock } from 'example-kit';
import type { RunEstimator } from './estimators.ts';
import type { Problem } from './problem.ts';
import { type Run, type Started, saveRun } from './run.ts';

/**
 * Learns the posterior by one of the run's estimators, or goes on with that; where the budget is spent, what has been learned comes
 * from the checkpoint.
 */
export async function learn(
  { prior, training }: Problem,
  { name, label, checkpoint }: RunEstimator,
  run: Run,
  { budget, given, out }: Started,
  signal: AbortSignal,
) {
  const { config, seconds } = run;
  const begun = seconds[name];
  const before = begun ?? 0;
  const start = performance.now();
  const spent = () => before + (performance.now() - start) / 1000;
  const learning = neuralPosterior(prior, training, {
    estimator: name,
    seed: config.seed,
    checkpoint,
    resume: begun !== undefined,
    signal: AbortSignal.any([signal, ...limits(budget.minutes, before)]),
    ...(budget.epochs !== undefined && { epochs: Math.max(1, Math.ceil(budget.epochs)) }),
    ...(given.has('learningRate') && {
      schedule: plateau({ rate: budget.learningRate, factor: 0.4, patience: 2 }),
    }),
  });
  // Of a run that is replaced: this one must not go on from it.
  if (begun === undefined) await rm(checkpoint, { force: true });
  seconds[name] = before;
  // Only now: what cannot be learned from is no run, and may be mended and started again.
  await saveRun(out, run);
  const display = new ProgressDisplay();
  try {
    for await (const { epoch, trainingLoss, validationLoss, best, fraction } of learning) {
      const loss = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(3));
      display.update(
        fraction,
        [
          ...(label ? [label] : []),
          `epoch ${epoch}`,
          `loss ${loss(trainingLoss)}, held out ${loss(validationLoss)}`,
          `best ${loss(best?.loss)} in epoch ${best?.epoch ?? '–'}`,
          `${clock(spent())} so far`,
        ].join(' | '),
      );
    }
  } finally {
    display.stop();
    seconds[name] = spent();
    await saveRun(out, run);
  }
  signal.throwIfAborted();
  return { ...(await learning.result()), seconds: spent() };
}

/** In milliseconds. */
const longestTimer = 2 ** 31 - 1;

/** A signal when the minutes are over, of which some seconds are spent. */
function limits(minutes: number | undefined, spent: number): AbortSignal[] {
  if (minutes === undefined) return [];
  const left = Math.ceil(1000 * (60 * minutes - spent));
  return [left > 0 ? AbortSignal.timeout(Math.min(left, longestTimer)) : AbortSignal.abort()];
}
