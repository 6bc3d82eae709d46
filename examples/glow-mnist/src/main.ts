/** The command: trains Glow on MNIST, measures it and writes the results. See options.ts. */

import { mkdir } from 'node:fs/promises';
import '@invnet/native';
import { loadMnist } from '@invnet/datasets';
import { countParameters } from '@invnet/layers';
import {
  backendInfo,
  InvNetError,
  requireOneOf,
  resetPeakMemory,
  setBackend,
} from '@invnet/tensor';
import { CheckpointError, NonFiniteLossError } from '@invnet/train';
import { requireFiniteDensity } from './evaluation.ts';
import { side } from './model.ts';
import { help, OptionError, type Options, parseOptions } from './options.ts';
import { clock, megabytes, Progress } from './progress.ts';
import { type Metrics, writeResults } from './results.ts';
import {
  checkpointPath,
  newRun,
  type Run,
  requireNewRun,
  resumeRun,
  saveRun,
} from './run-state.ts';
import { trainWithinBudget } from './training.ts';

/** Milliseconds between checkpoints. */
const saveInterval = 20_000;

/** A signal asked the program to stop. */
class Interrupted extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super('interrupted');
    this.exitCode = exitCode;
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options) await main(options);
  else console.log(help);
} catch (error) {
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
  if (!(error instanceof Interrupted)) console.error(describe(error));
}

async function main(options: Options): Promise<void> {
  const { backend, threads } = options;
  requireOneOf('glow-mnist', '--backend', backend, ['native', 'wasm', 'reference']);
  await setBackend(backend, { threads, wide: true });
  if (!options.resume) await requireNewRun(options);
  const run = options.resume ? await resumeRun(options) : newRun(options);
  await mkdir(options.out, { recursive: true });
  announce(run, options);
  const signal = stopSignal();
  await trainAndSave(run, options, signal);
  console.error('Evaluating on the test images …');
  try {
    summarize(await writeResults(options.out, run, signal), options.out);
  } catch (error) {
    if (signal.aborted) sayHowToResume(run, options);
    throw error;
  }
}

/** Trains, saving now and then and at the end. */
async function trainAndSave(run: Run, options: Options, signal: AbortSignal): Promise<void> {
  const data = await loadMnist({ split: 'train' });
  const { state } = run;
  let savedStep = options.resume ? state.step : undefined;
  let savedAt = performance.now();
  const save = async () => {
    if (savedStep !== state.step) {
      const { batch: count, seed } = run.config;
      await requireFiniteDensity(run.flow, data, { count, seed, step: state.step });
      await saveRun(options.out, run);
    }
    savedStep = state.step;
    savedAt = performance.now();
  };
  try {
    const progress = new Progress();
    resetPeakMemory();
    try {
      for await (const report of trainWithinBudget(run, data, signal)) {
        progress.update(report);
        if (performance.now() - savedAt > saveInterval) await save();
      }
    } finally {
      progress.stop();
    }
    // Before its first step a network is as it was drawn: there is nothing to save.
    if (state.step > 0) await save();
  } catch (error) {
    // The last update may have ruined the parameters as well; then they are not saved.
    if (error instanceof NonFiniteLossError || error instanceof CheckpointError) {
      console.error(
        savedStep === undefined
          ? 'Training stopped before the first checkpoint.'
          : `Training stopped; ${checkpointPath(options.out)} keeps step ${savedStep}.`,
      );
    }
    throw error;
  }
  if (signal.aborted) {
    sayHowToResume(run, options);
    throw signal.reason;
  }
}

/** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new Interrupted(130)));
  process.once('SIGTERM', () => controller.abort(new Interrupted(143)));
  return controller.signal;
}

function announce({ config, budget, flow, state }: Run, { out, resume }: Options): void {
  const limit = budget.epochs ? `${budget.epochs} epochs` : `${budget.minutes} minutes`;
  const { name, details: all } = backendInfo();
  const details = Object.entries(all)
    .filter(([key]) => !key.endsWith('Bytes'))
    .map(([key, value]) => `${key} ${value}`);
  console.error(
    `Glow on MNIST: ${config.scales} scales × ${config.steps} steps, ${config.hidden} hidden ` +
      `channels, ${countParameters(flow)} parameters; batches of ${config.batch}, ${limit}, seed ` +
      `${config.seed}.\nBackend ${[name, ...details].join(', ')}. Results go to ${out}.`,
  );
  if (resume) {
    console.error(`Resuming after step ${state.step} (${clock(state.seconds)} of training).`);
  }
}

function sayHowToResume({ state }: Run, { out }: Options): void {
  console.error(
    state.step === 0
      ? 'Stopped before the first step; nothing was written.'
      : `Stopped after step ${state.step}; the checkpoint is ${checkpointPath(out)}.\n` +
          `To go on: npx -y pnpm@12 start --resume --out ${out}`,
  );
}

function summarize(m: Metrics, out: string): void {
  console.log(
    [
      `Test images         ${m.testBitsPerDim.toFixed(4)} bits/dim over ${m.testImages}`,
      `First batch         ${m.firstBitsPerDim.toFixed(4)} bits/dim`,
      `Inverse error       ${m.inverseError.toExponential(2)} relative`,
      `Peak memory         ${megabytes(m.peakBytes)}, of which parameters ${megabytes(m.parameterBytes)}`,
      `Speed               ${Math.round(m.imagesPerSecond)} images/s on ${m.backend}`,
      `Results             ${out}`,
      '',
      'The model, to be used by another program:',
      '',
      ...howToLoad(checkpointPath(out), m).map((line) => `  ${line}`.trimEnd()),
    ].join('\n'),
  );
}

/** A program that loads the model and samples from it. */
function howToLoad(path: string, { seed, sampleTemperature }: Metrics): string[] {
  return [
    "import { Flow, flowCatalogue } from '@invnet/flows';",
    "import { loadModel } from '@invnet/train';",
    '',
    `const path = ${JSON.stringify(path)};`,
    'const flow = await loadModel(path, { modules: flowCatalogue, as: Flow });',
    `const shape = [16, 1, ${side}, ${side}];`,
    `const images = flow.sample({ shape, seed: ${seed}, temperature: ${sampleTemperature} });`,
  ];
}

/** One line for what a user can act on; a stack for what is a mistake of ours. */
function describe(error: unknown): string {
  if (error instanceof InvNetError || error instanceof OptionError)
    return `Error: ${error.message}`;
  if (error instanceof Error && 'code' in error) return `Error: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
