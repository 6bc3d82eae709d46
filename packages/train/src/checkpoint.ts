/**
 * Checkpoints of a training run: a whole model's file (model.ts) with what the optimizer remembers, whose
 * arrays are prefixed with `optimizer/` and its name, and the caller's metadata beside it.
 *
 * This module works on bytes and runs anywhere; checkpoint-file.ts puts them on disk. Left out:
 * the meaning of metadata (the step, the place in the data, random states), which is the caller's.
 */
import { configDifferences, describe, Module, moduleOf, Parameter } from '@invnet/layers';
import { CheckpointError, fitProblems, uploadLike } from './fit.ts';
import { legacyNamesIn, loadLegacyState } from './legacy.ts';
import { modelInfoIn, modelMetadata } from './model-metadata.ts';
import { fitState, stateOf } from './module-state.ts';
import type { Optimizer } from './optimizer.ts';
import {
  type HostTensor,
  readSafetensors,
  type Safetensors,
  writeSafetensors,
} from './safetensors.ts';

export { CheckpointError } from './fit.ts';

/** What a checkpoint is made from; a network or a flow is one itself. */
export interface CheckpointSource {
  /**
   * `network.parameters`, which brings the network along. Another list of parameters is saved as
   * weights alone, under their names.
   */
  readonly parameters: readonly Parameter[];
  readonly optimizer?: Optimizer | undefined;
  /** Strings to find again: the step, the place in the data, random states. */
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
 * @throws CheckpointError when two parameters share a name. @throws ConfigurationError for a
 * function in the network that has no name; see `named`.
 * @example
 * const { parameters } = flow;
 * const bytes = await checkpointBytes({ parameters, optimizer, metadata: { step: '100' } });
 */
export async function checkpointBytes(source: CheckpointSource): Promise<Uint8Array<ArrayBuffer>> {
  const { parameters, optimizer, metadata = {} }: CheckpointSource = source;
  const module = source instanceof Module ? source : moduleOf(parameters);
  const described = module ? modelMetadata(module, metadata) : metadata;
  // Both are asked for at once, so that they are of one moment.
  const [tensors, state] = await Promise.all([
    module ? stateOf(module) : weightsOf(parameters),
    optimizer?.state(parameters) ?? new Map<string, HostTensor>(),
  ]);
  if (!optimizer) return writeSafetensors({ tensors, metadata: described });
  for (const [name, value] of state) {
    tensors.set(`${optimizerPrefix}${optimizer.name}/${name}`, value);
  }
  return writeSafetensors({ tensors, metadata: { ...described, [optimizerKey]: optimizer.name } });
}

/**
 * Loads a checkpoint, or a whole model's file, into a network that exists: sets all parameters and
 * buffers, and the optimizer's state if one is given, and returns the metadata. Everything, the
 * configurations of both included, is compared before anything is changed.
 *
 * @param name - What messages call it, such as the file's path.
 * @throws SafetensorsFormatError when the bytes are not a whole safetensors file.
 * @throws CheckpointError when they are a checkpoint of another configuration or optimizer; the
 * message gives the path and both values, or missing, unexpected and mis-shaped parameters.
 * @example const { step } = restoreCheckpoint(bytes, { parameters: flow.parameters, optimizer });
 */
export function restoreCheckpoint(
  bytes: Uint8Array,
  target: CheckpointTarget,
  name = 'the checkpoint',
): Readonly<Record<string, string>> {
  const { parameters, optimizer } = target;
  const file = readSafetensors(bytes, name);
  const { [optimizerKey]: savedOptimizer } = file.metadata;
  if (optimizer && savedOptimizer !== optimizer.name) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} has the state of ${savedOptimizer ?? 'no optimizer'}; expected ` +
        `that of ${optimizer.name}. Without an optimizer, its parameters alone can be loaded.`,
    );
  }
  const saved = new Map([...file.tensors].filter(([key]) => !key.startsWith(optimizerPrefix)));
  const module = target instanceof Module ? target : moduleOf(parameters);
  const { load, names } = fitTarget(module, parameters, file, saved, name);
  // It checks before it changes anything, and assigning the parameters cannot fail after that.
  optimizer?.load(optimizerState(optimizer, file.tensors), names);
  load();
  return Object.fromEntries(
    Object.entries(file.metadata).filter(([key]) => !key.startsWith('invnet.')),
  );
}

/** What loads the arrays, and the parameters under the names that the file has for them. */
function fitTarget(
  module: Module | undefined,
  parameters: readonly Parameter[],
  file: Safetensors,
  saved: ReadonlyMap<string, HostTensor>,
  name: string,
): { load: () => void; names: readonly Parameter[] } {
  const info = modelInfoIn(file, name);
  if (module && info) {
    const differences = configDifferences(info.config, describe(module), {
      names: [name, 'the network'],
    });
    if (differences.length > 0) {
      throw new CheckpointError(
        `restoreCheckpoint: ${name} is of another network: ${differences.slice(0, 4).join('; ')}.`,
      );
    }
    return { load: fitState('restoreCheckpoint', module, saved, name), names: parameters };
  }
  if (module) {
    const load = loadLegacyState(module, saved, name);
    const legacyName = legacyNamesIn(module);
    return { load, names: parameters.map((p) => new Parameter(legacyName(p.name), p)) };
  }
  const problems = fitProblems(parameters, saved);
  if (problems.length > 0) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} is of another architecture: ${problems.join('; ')}.`,
    );
  }
  const load = () => {
    for (const p of parameters) {
      using values = uploadLike(p.data, saved.get(p.name)!);
      p.assign(values);
    }
  };
  return { load, names: parameters };
}

async function weightsOf(parameters: readonly Parameter[]): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  for (const p of parameters) {
    if (tensors.has(p.name)) {
      throw new CheckpointError(
        `checkpointBytes: two parameters are named '${p.name}'; give each a name of its own.`,
      );
    }
    tensors.set(p.name, { shape: p.shape, data: await p.data.data() });
  }
  return tensors;
}

function optimizerState(
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
