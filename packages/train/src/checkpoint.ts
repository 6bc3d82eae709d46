/**
 * Checkpoints: parameters, what the optimizer remembers, and metadata, as one safetensors file.
 * Parameters stand under their own names, so the file is also the model; the optimizer's arrays
 * are prefixed with `optimizer/` and its name.
 *
 * This module works on bytes and runs anywhere; checkpoint-file.ts puts them on disk. Left out:
 * the meaning of metadata, which is the caller's.
 */
import type { Parameter } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import type { Optimizer } from './optimizer.ts';
import { type HostTensor, readSafetensors, writeSafetensors } from './safetensors.ts';

export { CheckpointError } from './fit.ts';

/** What a checkpoint is made from. */
export interface CheckpointSource {
  readonly parameters: readonly Parameter[];
  readonly optimizer?: Optimizer | undefined;
  /** Strings to find again: the step, the place in the data, random states, the configuration. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What a checkpoint is loaded into; without an optimizer, a saved optimizer state is skipped. */
export interface CheckpointTarget {
  readonly parameters: readonly Parameter[];
  readonly optimizer?: Optimizer | undefined;
}

const optimizerPrefix = 'optimizer/';
/** Metadata that says whose state is in the file: that of a fresh optimizer has no entries. */
const optimizerKey = 'invnet.optimizer';

/**
 * A checkpoint as the bytes of a safetensors file.
 *
 * @throws CheckpointError when two parameters share a name.
 * @example
 * const bytes = await checkpointBytes({ parameters, optimizer, metadata: { step: '100' } });
 */
export async function checkpointBytes(source: CheckpointSource): Promise<Uint8Array<ArrayBuffer>> {
  const { parameters, optimizer, metadata = {} } = source;
  const tensors = new Map<string, HostTensor>();
  const add = (name: string, value: HostTensor) => {
    if (tensors.has(name)) {
      throw new CheckpointError(
        `checkpointBytes: two parameters are named '${name}'; give each a name of its own.`,
      );
    }
    tensors.set(name, value);
  };
  for (const p of parameters) add(p.name, { shape: p.shape, data: await p.data.data() });
  if (optimizer) {
    for (const [name, value] of await optimizer.state(parameters)) {
      add(`${optimizerPrefix}${optimizer.name}/${name}`, value);
    }
  }
  const optimizerEntry = optimizer && { [optimizerKey]: optimizer.name };
  return writeSafetensors({ tensors, metadata: { ...metadata, ...optimizerEntry } });
}

/**
 * Loads a checkpoint: sets all parameters, and the optimizer's state if one is given, and returns
 * the metadata. Everything is checked before anything is changed.
 *
 * @param name - What messages call it, such as the file's path.
 * @throws SafetensorsFormatError when the bytes are not a whole safetensors file.
 * @throws CheckpointError when they are a checkpoint of another architecture or optimizer; the
 * message names missing, unexpected and mis-shaped parameters.
 * @example const { step } = restoreCheckpoint(bytes, { parameters, optimizer });
 */
export function restoreCheckpoint(
  bytes: Uint8Array,
  target: CheckpointTarget,
  name = 'the checkpoint',
): Readonly<Record<string, string>> {
  const { parameters, optimizer } = target;
  const { tensors, metadata } = readSafetensors(bytes, name);
  const { [optimizerKey]: savedOptimizer, ...rest } = metadata;
  const saved = new Map([...tensors].filter(([key]) => !key.startsWith(optimizerPrefix)));
  const problems = fitProblems(parameters, saved);
  if (problems.length > 0) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} is of another architecture: ${problems.join('; ')}.`,
    );
  }
  if (optimizer && savedOptimizer !== optimizer.name) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} has the state of ${savedOptimizer ?? 'no optimizer'}; expected ` +
        `that of ${optimizer.name}. Without an optimizer, its parameters alone can be loaded.`,
    );
  }
  // It checks before it changes anything, and assigning the parameters cannot fail after that.
  optimizer?.load(stateOf(optimizer, tensors), parameters);
  for (const p of parameters) {
    using values = uploadLike(p.data, saved.get(p.name)!);
    p.assign(values);
  }
  return rest;
}

function stateOf(
  { name }: Optimizer,
  tensors: ReadonlyMap<string, HostTensor>,
): Map<string, HostTensor> {
  const prefix = `${optimizerPrefix}${name}/`;
  return new Map(
    [...tensors]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}
