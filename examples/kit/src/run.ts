/**
 * A run: a model in training and where it stands, and the file that holds both. All that a step depends on
 * is in there, so a run that was stopped goes on as if it had not been; and the model in it is whole, so
 * `loadModel` gives it to whoever has nothing but the file.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { countParameters, type Module } from '@invnet/layers';
import { backendInfo } from '@invnet/tensor';
import {
  Adam,
  CheckpointError,
  type Communicator,
  type Optimizer,
  readSafetensors,
  requireSame,
  restoreCheckpoint,
  saveCheckpoint,
} from '@invnet/train';
import { FlagError, type Flags } from './flags.ts';
import { type App, type Budget, type Config, dashed, lengthsOf, type Options } from './options.ts';
import { parseRun, type SavedRun } from './saved-run.ts';
import { clock } from './text.ts';

/** A model in training. */
export interface Run<M extends Module = Module, C = unknown> extends SavedRun<C> {
  readonly app: App<Flags, Flags>;
  /** The folder of its results. */
  readonly out: string;
  readonly model: M;
  readonly optimizer: Optimizer;
  /** The step that its file stands at; none before it is saved for the first time. */
  savedStep: number | undefined;
  /** Its file as this run has read or written it, or found it to replace; see `versionOf`. */
  version: string | undefined;
  /** The processes that train it together, of which rank 0 writes; none where there is one. */
  readonly communicator: Communicator | undefined;
}

/** What a run may be made with. */
export interface OpenOptions {
  /** Default: a new Adam. */
  readonly optimizer?: Optimizer;
  readonly communicator?: Communicator | undefined;
}

/**
 * A new run; or with `--resume` the one in `options.out`, on which flags that were not given follow the file.
 * `build` makes the model that the configuration describes.
 *
 * @throws FlagError when an earlier model is there that may not go, a given flag contradicts the file, or the
 * folder cannot be made.
 * @throws CheckpointError when there is no file to resume, or one of another program or model, or one
 * whose run is none. @throws SafetensorsFormatError for a damaged one.
 * @example const run = await openRun(app, options, ({ hidden, seed }) => buildFlow(hidden, seed));
 */
export async function openRun<M extends Module, C extends Flags>(
  app: App<C, Flags>,
  options: Options<C>,
  build: (config: Config<C>) => M,
  { optimizer = new Adam(), communicator }: OpenOptions = {},
): Promise<Run<M, Config<C>>> {
  const { out, resume, config, budget } = options;
  if (communicator) {
    const flags = Object.entries({ ...config, ...budget }).map(([name, v]) => [name, String(v)]);
    requireSame(communicator, 'The flags', { ...Object.fromEntries(flags), resume });
  }
  if (resume) return resumeRun(app, options, build, { optimizer, communicator });
  const version = isWriter(communicator) ? await requireNewRun(options) : undefined;
  const model = build(config);
  if (isWriter(communicator)) await makeFolder(out);
  const state = { step: 0, seconds: 0, peakBytes: 0, losses: [] };
  const savedStep = undefined;
  return { app, out, config, budget, state, model, optimizer, savedStep, version, communicator };
}

/** Is this the process that reads and writes files? */
export function isWriter(communicator: Communicator | undefined): boolean {
  return communicator === undefined || communicator.rank === 0;
}

/**
 * Saves the whole model with its run, atomically; of several ranks one does, and the others wait.
 *
 * @throws CheckpointError; what was there stays. So does what another run has saved there in the meantime.
 */
export async function saveRun(run: Run): Promise<void> {
  if (isWriter(run.communicator)) await writeRun(run);
  // Where it fails, the program of rank 0 ends, and all others with it.
  run.communicator?.barrier();
  run.savedStep = run.state.step;
}

async function writeRun(run: Run): Promise<void> {
  const { app, out, config, budget, state, model, optimizer } = run;
  const path = checkpointPath(out);
  const version = await versionOf(path);
  if (version !== undefined && version !== run.version) {
    run.savedStep = undefined;
    throw new CheckpointError(
      `another run has written ${path} since this one began, and it stays as it is; give each run a folder of ` +
        'its own by --out.',
    );
  }
  const metadata = { [app.name]: JSON.stringify({ config, budget, state }) };
  await saveCheckpoint(path, { parameters: model.parameters, optimizer, metadata });
  run.version = await versionOf(path);
}

/** The file of the run whose results are in a folder. */
export function checkpointPath(out: string): string {
  return join(out, 'model.safetensors');
}

/**
 * Says on stderr what is about to be trained, for how long, and on what.
 *
 * @param title - The model and its sizes.
 */
export function announce(run: Run<Module, { readonly seed: number }>, title: string): void {
  const { app, config, budget, model, state, out, communicator } = run;
  if (!isWriter(communicator)) return;
  const length = lengthsOf(app)
    .filter((name) => budget[name] !== undefined)
    .map((name) => `${budget[name]} ${name}`);
  if (communicator) length.push(`${communicator.size} ranks`);
  const { name, details: all } = backendInfo();
  const details = Object.entries(all)
    .filter(([key]) => !key.endsWith('Bytes'))
    .map(([key, value]) => `${key} ${value}`);
  console.error(
    `${title}; ${countParameters(model)} parameters, ${length.join(', ')}, seed ${config.seed}.\n` +
      `Backend ${[name, ...details].join(', ')}. Results go to ${out}.`,
  );
  if (state.step > 0) {
    console.error(`Resuming after step ${state.step} (${clock(state.seconds)} of training).`);
  }
}

/** What tells a file from one that took its place; none where there is no file. */
async function versionOf(path: string): Promise<string | undefined> {
  const file = await stat(path).catch(() => undefined);
  return file && `${file.ino} ${file.mtimeMs}`;
}

async function makeFolder(out: string): Promise<void> {
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    const { message } = cause instanceof Error ? cause : new Error(String(cause));
    throw new FlagError(`--out: cannot make the folder ${out}: ${message}.`, { cause });
  });
}

/** The version of the file that may be replaced. */
async function requireNewRun({ out, overwrite }: Options): Promise<string | undefined> {
  const path = checkpointPath(out);
  const version = await versionOf(path);
  if (overwrite || version === undefined) return version;
  throw new FlagError(
    `${path} holds an earlier model. Go on with it by --resume, replace it by --overwrite, or name ` +
      'another folder by --out.',
  );
}

async function resumeRun<M extends Module, C extends Flags>(
  app: App<C, Flags>,
  options: Options<C>,
  build: (config: Config<C>) => M,
  { optimizer, communicator }: { optimizer: Optimizer; communicator: Communicator | undefined },
): Promise<Run<M, Config<C>>> {
  const { out } = options;
  const path = checkpointPath(out);
  const version = await versionOf(path);
  const read = isWriter(communicator) ? await readRun(path) : new Uint8Array();
  const bytes = communicator ? communicator.broadcast(read) : read;
  const text = readSafetensors(bytes, path).metadata[app.name];
  if (text === undefined) {
    throw new CheckpointError(
      `--resume: ${path} is a safetensors file without the metadata '${app.name}'; expected a ` +
        'checkpoint that this program wrote.',
    );
  }
  const { config, budget, state } = parseRun(app, text, `in ${path}, ${app.name}`);
  requireSameConfig(options, config, path);
  const model = build(config);
  // Compares the model with that in the file.
  restoreCheckpoint(bytes, { parameters: model.parameters, optimizer }, path);
  return {
    app,
    out,
    config,
    budget: resumedBudget(app, options, budget),
    state,
    model,
    optimizer,
    savedStep: state.step,
    version,
    communicator,
  };
}

function readRun(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: unknown) => {
    throw new CheckpointError(
      `--resume: cannot read ${path}; expected the checkpoint of an earlier run. Leave --resume ` +
        'out to start anew, or name the folder of the run with --out.',
      { cause },
    );
  });
}

/** @throws FlagError for a given flag that contradicts the file. */
function requireSameConfig<C extends Flags>(
  { given, config }: Options<C>,
  saved: Config<C>,
  path: string,
): void {
  for (const [name, value] of Object.entries(config)) {
    const before = Reflect.get(saved, name);
    if (!given.has(name) || value === before) continue;
    throw new FlagError(
      `${dashed(name)} is ${value}, but the checkpoint ${path} is of a run with ${dashed(name)} ` +
        `${before}. Leave the flag out to resume that run, or leave out --resume to start a new one ` +
        '(with another --out to keep both).',
    );
  }
}

function resumedBudget(app: App<Flags, Flags>, { given, budget }: Options, saved: Budget): Budget {
  const { learningRate } = given.has('learningRate') ? budget : saved;
  const length = lengthsOf(app).some((name) => given.has(name)) ? budget : saved;
  return { ...length, learningRate };
}
