/**
 * Checkpoints of a training run: a whole model's file (model.ts) with what the optimizer remembers
 * (optimizer-entries.ts), and the caller's metadata beside it.
 *
 * This module works on bytes and runs anywhere; checkpoint-file.ts puts them on disk. Left out:
 * the meaning of metadata (the step, the place in the data, random states), which is the caller's.
 */
import {
  configDifferences,
  describe,
  Module,
  moduleOf,
  Parameter,
  requireParameters,
} from '@invnet/layers';
import { requireOptions, requireRecord } from '@invnet/tensor';
import { CheckpointError, requireFiniteArrays } from './array-checks.ts';
import { legacyNamesIn, legacyPlacesOf } from './legacy.ts';
import { modelInfoIn, modelMetadata, requireMetadata } from './model-metadata.ts';
import { placesOf, stateOf } from './module-state.ts';
import { type Optimizer, requireOptimizer } from './optimizer.ts';
import { optimizerOf, splitState, withState } from './optimizer-entries.ts';
import {
  type HostTensor,
  readSafetensors,
  type Safetensors,
  writeSafetensors,
} from './safetensors.ts';
import { type Places, StagedArrays } from './staged-arrays.ts';

export { CheckpointError } from './array-checks.ts';

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

/**
 * A checkpoint as the bytes of a safetensors file.
 *
 * @throws CheckpointError when two parameters share a name, for numbers that are not finite, as an
 * update may leave them, and for metadata that are no text. @throws ConfigurationError for a
 * function in the network that has no name; see `named`.
 * @example
 * const { parameters } = flow;
 * const bytes = await checkpointBytes({ parameters, optimizer, metadata: { step: '100' } });
 */
export async function checkpointBytes(source: CheckpointSource): Promise<Uint8Array<ArrayBuffer>> {
  requireParts('checkpointBytes', source);
  const { parameters, optimizer, metadata = {} }: CheckpointSource = source;
  const module = source instanceof Module ? source : moduleOf(parameters);
  const described = module ? modelMetadata(module, metadata) : requireMetadata(metadata);
  // Both are asked for at once, so that they are of one moment.
  const [tensors, state] = await Promise.all([
    module ? stateOf(module) : weightsOf(parameters),
    optimizer?.state(parameters),
  ]);
  const model = { tensors, metadata: described };
  const file = optimizer && state ? withState(model, optimizer.name, state) : model;
  requireFiniteArrays('checkpointBytes', file.tensors);
  return writeSafetensors(file);
}

/**
 * Loads a checkpoint, or a whole model's file, into a network that exists: sets all parameters and
 * buffers, and the optimizer's state if one is given, and returns the metadata. All or nothing:
 * everything, the configurations of both included, is compared, and all memory is asked for, before
 * anything is changed.
 *
 * @param name - What messages call it, such as the file's path.
 * @throws SafetensorsFormatError when the bytes are not a whole safetensors file.
 * @throws CheckpointError when they are a checkpoint of another configuration or optimizer; the
 * message gives the path and both values, or missing, unexpected and mis-shaped parameters.
 * @throws OutOfMemoryError when the backend cannot hold them beside those that they replace.
 * @example const { step } = restoreCheckpoint(bytes, { parameters: flow.parameters, optimizer });
 */
export function restoreCheckpoint(
  bytes: Uint8Array,
  target: CheckpointTarget,
  name = 'the checkpoint',
): Readonly<Record<string, string>> {
  requireParts('restoreCheckpoint', target);
  const { parameters, optimizer } = target;
  const file = readSafetensors(bytes, name);
  const savedOptimizer = optimizerOf(file);
  if (optimizer && savedOptimizer !== optimizer.name) {
    throw new CheckpointError(
      `restoreCheckpoint: ${name} has the state of ${savedOptimizer ?? 'no optimizer'}; expected ` +
        `that of ${optimizer.name}. Without an optimizer, its parameters alone can be loaded.`,
    );
  }
  const module = target instanceof Module ? target : moduleOf(parameters);
  const { places, misfit, named } = fitTarget(module, parameters, file, name);
  const { arrays, state } = splitState(
    file,
    places.map(([path]) => path),
  );
  using staged = new StagedArrays(places, arrays, `restoreCheckpoint: ${misfit}`);
  // All or nothing as well, so it is the last that can fail.
  optimizer?.load(state, named);
  staged.commit();
  return Object.fromEntries(
    Object.entries(file.metadata).filter(([key]) => !key.startsWith('invnet.')),
  );
}

/** @throws ValueError unless it is a network or a flow, or a record of parameters with an optimizer. */
function requireParts(op: string, parts: CheckpointTarget): void {
  // A network may be iterable, as Sequential is, which records are not.
  if (!(parts instanceof Module)) {
    requireRecord(op, 'what it is of', parts, 'a network, a flow, or { parameters, optimizer }');
    // A misspelt optimizer would be left out without a word.
    requireOptions(op, parts, ['parameters', 'optimizer', 'metadata']);
  }
  requireParameters(op, parts.parameters);
  if (parts.optimizer !== undefined) requireOptimizer(op, parts.optimizer);
}

/** Where the file's arrays belong, how to say that they do not fit, and the parameters under its names. */
function fitTarget(
  module: Module | undefined,
  parameters: readonly Parameter[],
  file: Safetensors,
  name: string,
): { places: Places; misfit: string; named: readonly Parameter[] } {
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
    const misfit = `${name} does not fit a ${module.type} of its configuration`;
    return { places: placesOf(module), misfit, named: parameters };
  }
  const misfit = `${name} is of another architecture`;
  if (module) {
    const legacyName = legacyNamesIn(module);
    const named = parameters.map((p) => new Parameter(legacyName(p.name), p));
    return { places: legacyPlacesOf(module), misfit, named };
  }
  return { places: parameters.map((p) => [p.name, p]), misfit, named: parameters };
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
