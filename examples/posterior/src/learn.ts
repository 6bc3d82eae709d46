/** The training, with a bar while it goes on, and a checkpoint to go on from. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { neuralPosterior } from '@invnet/inference';
import { plateau } from '@invnet/train';
import { ProgressDisplay } from '@invnet/train/progress';
import { checkpointPath, clock, FlagError, type Options } from 'example-kit';
import type { config, flags } from './app.ts';
import type { Problem } from './problem.ts';

/** What the command line says. */
export type Started = Options<typeof config, typeof flags>;

const runFile = 'run.json';

/** The configuration: of the command line, or of the run that goes on. @throws FlagError where they contradict. */
export async function configOf(options: Started): Promise<Started['config']> {
  const { config, given, out, resume, overwrite } = options;
  const path = join(out, runFile);
  if (!resume) {
    if (existsSync(path) && !overwrite) {
      throw new FlagError(
        `${out} has a run; go on with --resume, replace it by --overwrite, or give another --out.`,
      );
    }
    return config;
  }
  if (!existsSync(path))
    throw new FlagError(`there is no run in ${out} to go on with; leave --resume out.`);
  const saved: Started['config'] = JSON.parse(await readFile(path, 'utf8'));
  for (const [name, value] of Object.entries(config)) {
    const before = Object.entries(saved).find(([key]) => key === name)?.[1];
    if (given.has(name) && before !== value) {
      throw new FlagError(`the run in ${out} was begun with another --${name}: ${before}.`);
    }
  }
  return saved;
}

/** Learns the posterior; after a signal, with the best weights so far. */
export async function learn(
  { prior, training }: Problem,
  config: Started['config'],
  { budget, given, out, resume }: Started,
  signal: AbortSignal,
) {
  const start = performance.now();
  const checkpoint = checkpointPath(out);
  const limit = budget.minutes === undefined ? [] : [AbortSignal.timeout(60_000 * budget.minutes)];
  const learning = neuralPosterior(prior, training, {
    estimator: config.estimator,
    seed: config.seed,
    checkpoint,
    resume: resume && existsSync(checkpoint),
    signal: AbortSignal.any([signal, ...limit]),
    ...(budget.epochs !== undefined && { epochs: Math.max(1, Math.ceil(budget.epochs)) }),
    ...(given.has('learningRate') && {
      schedule: plateau({ rate: budget.learningRate, factor: 0.4, patience: 2 }),
    }),
  });
  // Only now: what cannot be learned from is no run, and may be mended and started again.
  if (!resume) {
    await mkdir(out, { recursive: true });
    await writeFile(join(out, runFile), `${JSON.stringify(config, undefined, 2)}\n`);
  }
  const display = new ProgressDisplay();
  try {
    for await (const { epoch, trainingLoss, validationLoss, best, fraction } of learning) {
      const loss = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(3));
      display.update(
        fraction,
        [
          `epoch ${epoch}`,
          `${loss(trainingLoss)} nats, held out ${loss(validationLoss)}`,
          `best ${loss(best?.loss)} in epoch ${best?.epoch ?? '–'}`,
          `${clock((performance.now() - start) / 1000)} so far`,
        ].join(' | '),
      );
    }
  } finally {
    display.stop();
  }
  signal.throwIfAborted();
  return { ...(await learning.result()), seconds: (performance.now() - start) / 1000 };
}
