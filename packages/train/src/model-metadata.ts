/** What a file says of its model beside the numbers: the form's version, configuration and modes. */
import {
  describe,
  type Json,
  type Module,
  type ModuleConfig,
  moduleAt,
  namedParameters,
  placesIn,
} from '@invnet/layers';
import { CheckpointError } from './fit.ts';
import type { Safetensors } from './safetensors.ts';

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

/** Metadata of this library begin with this. */
const reserved = 'invnet.';
const formatKey = 'invnet.format';
/** Where the configuration is. */
export const modelKey = 'invnet.model';
/** Paths of frozen parameters, where there are any. */
const frozenKey = 'invnet.frozen';
/** Paths of modules whose mode is another than that of what holds them, each with it. */
const trainingKey = 'invnet.training';

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
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value === 'string' && !name.startsWith(reserved)) continue;
    throw new CheckpointError(
      `metadata '${name}' is ${JSON.stringify(value)}; expected a text, and a name that does not ` +
        `begin with '${reserved}'.`,
    );
  }
  const frozen = [...namedParameters(model)].filter(([, p]) => p.frozen).map(([path]) => path);
  const modes = modesOf(model);
  return {
    ...metadata,
    [formatKey]: String(formatVersion),
    [modelKey]: JSON.stringify(describe(model)),
    ...(frozen.length > 0 && { [frozenKey]: JSON.stringify(frozen) }),
    ...(modes.length > 0 && { [trainingKey]: JSON.stringify(modes) }),
  };
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
  for (const entry of listIn(metadata[trainingKey], trainingKey, name)) {
    const [path, on] = Array.isArray(entry) ? (entry as readonly Json[]) : [];
    if (typeof path !== 'string' || typeof on !== 'boolean') {
      throw new CheckpointError(`${name}: '${trainingKey}' has ${JSON.stringify(entry)}.`);
    }
    moduleAt(model, path).training = on;
  }
}

/** The modules whose mode is not that of what holds them, outermost first. */
function modesOf(model: Module): [string, boolean][] {
  const modes = new Map<string, boolean>();
  const inherited = (path: string): boolean => {
    const known = modes.get(path);
    if (known !== undefined) return known;
    return path === '' ? true : inherited(path.split('.').slice(0, -1).join('.'));
  };
  for (const { path, module } of placesIn(model)) {
    if (module.training !== inherited(path)) modes.set(path, module.training);
  }
  return [...modes];
}

function listIn(text: string | undefined, key: string, name: string): readonly Json[] {
  if (text === undefined) return [];
  const list = parse(text, key, name);
  if (Array.isArray(list)) return list;
  throw new CheckpointError(`${name}: '${key}' is no list.`);
}

function parse(text: string | undefined, key: string, name: string): Json {
  try {
    return JSON.parse(text ?? '');
  } catch {
    throw new CheckpointError(`${name}: '${key}' is not JSON.`);
  }
}

function isRecord(value: Json): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
