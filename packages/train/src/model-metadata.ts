/** What a file says of its model beside the numbers: the form's version, configuration and modes. */
import {
  describe,
  type Json,
  Module,
  type ModuleConfig,
  namedParameters,
  placesIn,
} from '@invnet/layers';
import { CheckpointError } from './array-checks.ts';
import { isRecord, isText, kindOf, type Safetensors } from './safetensors.ts';

/** What a file says of its model. */
export interface ModelInfo {
  /** The version of the form. */
  readonly version: number;
  readonly config: ModuleConfig;
  /** What was passed when it was saved. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The version of the form that is written; files without one hold weights alone. */
export const formatVersion = 2;

/** Levels of lists and objects in each other; a network of real life has a few dozen. */
const mostLevels = 500;

/** Metadata of this library begin with this. */
const reserved = 'invnet.';
const formatKey = 'invnet.format';
const modelKey = 'invnet.model';
/** Paths of frozen parameters, where there are any. */
const frozenKey = 'invnet.frozen';
/** Which modules are in evaluation mode, in the order of the tree, where any are. */
const evaluationKey = 'invnet.evaluation';

/**
 * The metadata of a model's file.
 *
 * @throws ConfigurationError for a function without a name. @throws CheckpointError for names that
 * begin with `invnet.`, or values that are no text.
 */
export function modelMetadata(
  model: Module,
  metadata: Readonly<Record<string, string>>,
): Record<string, string> {
  requireMetadata(metadata);
  const frozen = [...namedParameters(model)].filter(([, p]) => p.frozen).map(([path]) => path);
  const evaluation = evaluationOf(model);
  return {
    ...metadata,
    [formatKey]: String(formatVersion),
    [modelKey]: JSON.stringify(describe(model)),
    ...(frozen.length > 0 && { [frozenKey]: JSON.stringify(frozen) }),
    ...(evaluation.length > 0 && { [evaluationKey]: JSON.stringify(evaluation) }),
  };
}

/** The caller's metadata. @throws CheckpointError for names that begin with `invnet.`, or what is no text. */
export function requireMetadata(
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (!isRecord(metadata)) {
    throw new CheckpointError('metadata is no record; expected texts by name.');
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (isText(name) && isText(value) && !name.startsWith(reserved)) continue;
    throw new CheckpointError(
      `metadata ${JSON.stringify(name)} is ${kindOf(value)}; expected a text, as of String(value), ` +
        `without halves of surrogate pairs, and a name that does not begin with '${reserved}'.`,
    );
  }
  return metadata;
}

/** What a file says of its model. @throws CheckpointError when it holds none, or of a later version. */
export function modelInfoOf(file: Safetensors, name: string): ModelInfo {
  const info = modelInfoIn(file, name);
  if (info) return info;
  throw new CheckpointError(
    `loadModel: ${name} holds weights alone, without the configuration of a model; expected a file ` +
      'of saveModel or saveCheckpoint, or restoreCheckpoint into a network that you build.',
  );
}

/** As `modelInfoOf`; undefined for a file of weights alone. */
export function modelInfoIn({ metadata }: Safetensors, name: string): ModelInfo | undefined {
  const version = metadata[formatKey];
  if (version === undefined) return undefined;
  if (!/^\d+$/.test(version) || Number(version) > formatVersion) {
    throw new CheckpointError(
      `${name} is of version ${version} of the form; this library reads up to ${formatVersion}. ` +
        'Expected a newer library, or a file that this one wrote.',
    );
  }
  const config = parse(metadata[modelKey], modelKey, name);
  if (!isRecord(config) || typeof config.$type !== 'string') {
    throw new CheckpointError(`${name}: '${modelKey}' is no configuration of a module.`);
  }
  const own = Object.entries(metadata).filter(([key]) => !key.startsWith(reserved));
  return {
    version: Number(version),
    config: config as ModuleConfig,
    metadata: Object.fromEntries(own),
  };
}

/** Freezes, and sets modes, as the file says. @throws CheckpointError for paths that are none. */
export function applyModes(model: Module, { metadata }: Safetensors, name: string): void {
  const parameters = namedParameters(model);
  const frozen = new Set(listIn(metadata[frozenKey], frozenKey, name));
  for (const path of frozen) {
    if (typeof path === 'string' && parameters.has(path)) continue;
    throw new CheckpointError(
      `${name}: '${frozenKey}' names ${JSON.stringify(path)}, no parameter.`,
    );
  }
  for (const [path, p] of parameters) p.frozen = frozen.has(path);
  const evaluation = new Set(listIn(metadata[evaluationKey], evaluationKey, name));
  const modules = [...placesIn(model)].map(({ module }) => module);
  for (const i of evaluation) {
    if (typeof i === 'number' && modules[i]) continue;
    throw new CheckpointError(`${name}: '${evaluationKey}' names ${JSON.stringify(i)}, no module.`);
  }
  modules.forEach((module, i) => {
    Module.setMode(module, !evaluation.has(i));
  });
}

/** The places, in the order of the tree, of modules in evaluation mode. */
function evaluationOf(model: Module): number[] {
  return [...placesIn(model)].flatMap(({ module }, i) => (module.training ? [] : [i]));
}

function listIn(text: string | undefined, key: string, name: string): readonly Json[] {
  if (text === undefined) return [];
  const list = parse(text, key, name);
  if (Array.isArray(list)) return list;
  throw new CheckpointError(`${name}: '${key}' is no list.`);
}

function parse(text: string | undefined, key: string, name: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    throw new CheckpointError(`${name}: '${key}' is not JSON.`);
  }
  requireShallow(value, key, name);
  return value;
}

/** @throws CheckpointError for values so deep that who walks them would overflow the stack. */
function requireShallow(value: Json, key: string, name: string): void {
  let level: readonly Json[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > mostLevels) {
      throw new CheckpointError(`${name}: '${key}' has more than ${mostLevels} levels.`);
    }
    level = level.flatMap((v) => (typeof v === 'object' && v !== null ? Object.values(v) : []));
  }
}
