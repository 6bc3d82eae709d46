/**
 * Whole models as bytes: configuration, parameters and buffers in one safetensors file, from which
 * the model is built again. docs/model-files.md describes the form. This module runs anywhere;
 * model-file.ts puts the bytes on disk.
 */
import { build, type Module, type ModuleType, requireModule } from '@invnet/layers';
import {
  formatShape,
  formatValue,
  RandomStream,
  requireOptions,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';
import { CheckpointError, requireFiniteArrays } from './array-checks.ts';
import { applyModes, type ModelInfo, modelInfoOf, modelMetadata } from './model-metadata.ts';
import { placesOf, stateOf } from './module-state.ts';
import { splitState } from './optimizer-entries.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';
import { StagedArrays } from './staged-arrays.ts';

/** How models are loaded. */
export interface LoadOptions {
  /** The types that may be in the file: a package's catalogue, or the classes that a page needs. */
  readonly modules: readonly ModuleType[];
  /** Makes what `named` gave a name to, such as a physical operator. */
  readonly named?: Readonly<Record<string, () => object>>;
}

/** As `LoadOptions`, for a model that must be of a class. */
export interface LoadOptionsAs<M extends Module> extends LoadOptions {
  readonly as: abstract new (...args: never) => M;
}

/**
 * A whole model as the bytes of a safetensors file.
 *
 * @throws ConfigurationError for a function in it that has no name; see `named`.
 * @throws CheckpointError for numbers that are not finite, or metadata that are no text.
 * @example const bytes = await modelBytes(flow, { data: 'two moons' });
 */
export async function modelBytes(
  model: Module,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  requireModule('modelBytes', model);
  // Before anything is read from the backend: it says what cannot be saved.
  const described = modelMetadata(model, metadata);
  const tensors = await stateOf(model);
  requireFiniteArrays('modelBytes', tensors);
  return writeSafetensors({ tensors, metadata: described });
}

/**
 * The model of a file's bytes, on the current backend; throws as `loadModel`.
 *
 * @param name - What messages call the file, such as its path.
 * @example const flow = modelFromBytes(bytes, { modules: flowCatalogue, as: Flow });
 */
export function modelFromBytes<M extends Module>(
  bytes: Uint8Array,
  options: LoadOptionsAs<M>,
  name?: string,
): M;
export function modelFromBytes(bytes: Uint8Array, options: LoadOptions, name?: string): Module;
export function modelFromBytes(
  bytes: Uint8Array,
  options: LoadOptions & Partial<LoadOptionsAs<Module>>,
  name = 'the file',
): Module {
  requireOptions('loadModel', options, ['modules', 'named', 'as']);
  if (options.as !== undefined) requireClass(options.as);
  const file = readSafetensors(bytes, name);
  const { config } = modelInfoOf(file, name);
  let numbers = 0;
  for (const { shape } of splitState(file, []).arrays.values()) numbers += sizeOf(shape);
  const { modules, named, as } = options;
  // What is drawn and not kept, as by parts that were replaced, is not in the file.
  const random = new UndrawnNumbers(4 * numbers + 2 ** 20, name);
  const largestSize = Math.max(numbers, 2 ** 24);
  const model = build(config, { modules, random, largestSize, ...(named && { named }) });
  const { type } = model;
  try {
    if (as && !(model instanceof as)) {
      throw new CheckpointError(
        `loadModel: ${name} holds a ${type}; expected a ${as.name}, as was asked for.`,
      );
    }
    const places = placesOf(model);
    const { arrays } = splitState(
      file,
      places.map(([path]) => path),
    );
    const misfit = `loadModel: ${name} does not fit a ${type} of its configuration`;
    using staged = new StagedArrays(places, arrays, misfit);
    applyModes(model, file, name);
    staged.commit();
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** @throws ValueError unless it is a class. */
function requireClass(as: unknown): void {
  if (typeof as === 'function' && typeof as.prototype === 'object') return;
  throw new ValueError(`loadModel: as is ${formatValue(as)}; expected a class, such as Flow.`);
}

/** What a file's bytes say of the model in it. @throws CheckpointError, SafetensorsFormatError */
export function modelInfo(bytes: Uint8Array, name = 'the file'): ModelInfo {
  return modelInfoOf(readSafetensors(bytes, name), name);
}

/**
 * In place of the random numbers that weights start from, when they are loaded anyway: zeros, and no
 * more of them than the file holds, so that a configuration of absurd sizes ends at once.
 */
class UndrawnNumbers extends RandomStream {
  readonly #file: string;
  #left: number;

  constructor(numbers: number, file: string) {
    super(0);
    this.#left = numbers;
    this.#file = file;
  }

  // Before room for all of them is asked for.
  override normal(shape: Shape): Tensor {
    return tensor(this.#zeros(sizeOf(shape)), shape);
  }

  override uniform(shape: Shape): Tensor {
    return tensor(this.#zeros(sizeOf(shape)), shape);
  }

  override normalArray(size: number): Float64Array<ArrayBuffer> {
    return this.#zeros(size);
  }

  override uniformArray(size: number): Float64Array<ArrayBuffer> {
    return this.#zeros(size);
  }

  #zeros(size: number): Float64Array<ArrayBuffer> {
    if (size > this.#left) {
      throw new CheckpointError(
        `its sizes ask for weights of shape ${formatShape([size])}, more numbers than ${this.#file} holds`,
      );
    }
    this.#left -= size;
    return new Float64Array(size);
  }
}
