/**
 * A run: its model and where it stands, and the file that holds both. All that a step depends on is in
 * there, so a run that was stopped goes on as if it had not been; and the model in it is whole, so
 * `loadModel` gives it to whoever has nothing but the file.
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Flow } from '@invnet/flows';
import {
  Adam,
  CheckpointError,
  readSafetensors,
  restoreCheckpoint,
  type Safetensors,
  saveCheckpoint,
} from '@invnet/train';
import { buildFlow, randomStream } from './model.ts';
import { type Budget, OptionError, type Options, type RunConfig } from './options.ts';
import { parseRun, type SavedRun } from './saved-run.ts';

/** A model in training. */
export interface Run extends SavedRun {
  readonly flow: Flow;
  readonly optimizer: Adam;
}

/** The key of the file's metadata that holds the run as JSON. */
const metadataKey = 'glow-mnist';

/** Path of the file. */
export function checkpointPath(out: string): string {
  return join(out, 'model.safetensors');
}

/** @throws OptionError when an earlier model is in the folder that `options.out` names, unless it may go. */
export async function requireNewRun({ out, overwrite }: Options): Promise<void> {
  const path = checkpointPath(out);
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (overwrite || !there) return;
  throw new OptionError(
    `${path} holds an earlier model. Go on with it by --resume, replace it by --overwrite, or name ` +
      'another folder by --out.',
  );
}

/** A run from the start. */
export function newRun({ config, budget }: Options): Run {
  return {
    config,
    budget,
    flow: buildFlow(config),
    optimizer: new Adam(),
    state: {
      step: 0,
      seconds: 0,
      peakBytes: 0,
      place: { epoch: 0, position: 0 },
      noise: randomStream(config.seed, 'noise').state,
      bitsPerDim: [],
    },
  };
}

/** Saves the whole flow with the run, atomically. @throws CheckpointError */
export async function saveRun(out: string, run: Run): Promise<void> {
  const { config, budget, state, flow, optimizer } = run;
  const metadata = { [metadataKey]: JSON.stringify({ config, budget, state }) };
  await saveCheckpoint(checkpointPath(out), { parameters: flow.parameters, optimizer, metadata });
}

/**
 * Loads the run that `options.out` holds. Flags that were not given follow the file.
 *
 * @throws OptionError when a given flag contradicts the file's data stream.
 * @throws CheckpointError when there is no file of this program, or one of another network than the
 * given flags make, or one whose run is none. @throws SafetensorsFormatError for a damaged one.
 */
export async function resumeRun(options: Options): Promise<Run> {
  const path = checkpointPath(options.out);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new CheckpointError(
      `--resume: cannot read ${path}; expected the checkpoint of an earlier run. Leave --resume ` +
        'out to start anew, or name the folder of the run with --out.',
      { cause },
    );
  });
  const saved = savedRun(readSafetensors(bytes, path), path);
  const config = resumedConfig(options, saved.config);
  for (const key of ['batch', 'seed'] as const) {
    if (config[key] === saved.config[key]) continue;
    throw new OptionError(
      `--${key} is ${config[key]}, but the checkpoint ${path} is of a run with --${key} ` +
        `${saved.config[key]}. Leave the flag out to resume that run, or leave out --resume to ` +
        'start a new one (with another --out to keep both).',
    );
  }
  const flow = buildFlow(config);
  const optimizer = new Adam();
  // Compares the network of the flags with that in the file.
  restoreCheckpoint(bytes, { parameters: flow.parameters, optimizer }, path);
  return { ...saved, budget: resumedBudget(options, saved.budget), flow, optimizer };
}

function resumedConfig({ given, config }: Options, saved: RunConfig): RunConfig {
  const flags = Object.entries(config).filter(([name]) => given.has(name));
  return { ...saved, ...Object.fromEntries(flags) };
}

function resumedBudget({ given, budget }: Options, saved: Budget): Budget {
  const learningRate = (given.has('learning-rate') ? budget : saved).learningRate;
  const limits = given.has('minutes') || given.has('epochs') ? budget : saved;
  return { ...limits, learningRate };
}

/** What the file says of its run. */
function savedRun({ metadata }: Safetensors, path: string): SavedRun {
  const text = metadata[metadataKey];
  if (text !== undefined) return parseRun(text, `in ${path}, ${metadataKey}`);
  throw new CheckpointError(
    `--resume: ${path} is a safetensors file without the metadata '${metadataKey}'; expected a ` +
      'checkpoint that this program wrote.',
  );
}
