/** Whole models on disk, in Node. The form of the files: docs/model-files.md */
import { type Module, requireModule } from '@invnet/layers';
import { requireOptions } from '@invnet/tensor';
import { readWhole, writeWhole } from './file.ts';
import {
  type LoadOptions,
  type LoadOptionsAs,
  modelBytes,
  modelFromBytes,
  modelInfo,
} from './model.ts';
import type { ModelInfo } from './model-metadata.ts';

/** What goes into a file beside the model. */
export interface SaveModelOptions {
  /** Strings to find again by `readModelInfo`: what it was trained on, by whom, how well it does. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Saves a whole model, a network or a flow: its configuration, parameters and buffers, as one
 * safetensors file. Atomically, as `saveCheckpoint`.
 *
 * @throws ConfigurationError for a function in it that has no name; see `named`.
 * @throws CheckpointError when the file cannot be written; what was there is untouched.
 * @example await saveModel('moons.safetensors', flow, { metadata: { data: 'two moons' } });
 */
export async function saveModel(
  path: string,
  model: Module,
  options: SaveModelOptions = {},
): Promise<void> {
  requireModule('saveModel', model);
  requireOptions('saveModel', options, ['metadata']);
  const { metadata } = options;
  await writeWhole('saveModel', path, await modelBytes(model, metadata));
}

/**
 * The model of a file, with no line of the code that built it: the same bits, on the current backend.
 *
 * @throws CheckpointError when the file cannot be read, holds no model or one of a later version, or
 * lacks a tensor. @throws ConfigurationError for a type that was not passed, or a configuration that
 * is none. @throws SafetensorsFormatError when it is not a whole safetensors file. Nothing is left.
 * @example
 * const flow = await loadModel('moons.safetensors', { modules: flowCatalogue, as: Flow });
 * const samples = flow.sample({ shape: [16, 2], seed: 1 });
 */
export async function loadModel<M extends Module>(
  path: string,
  options: LoadOptionsAs<M>,
): Promise<M>;
export async function loadModel(path: string, options: LoadOptions): Promise<Module>;
export async function loadModel(
  path: string,
  options: LoadOptions & Partial<LoadOptionsAs<Module>>,
): Promise<Module> {
  return modelFromBytes(await readWhole('loadModel', path), options, path);
}

/** What a file says of its model, which is not built. @throws CheckpointError, SafetensorsFormatError */
export async function readModelInfo(path: string): Promise<ModelInfo> {
  return modelInfo(await readWhole('readModelInfo', path), path);
}
