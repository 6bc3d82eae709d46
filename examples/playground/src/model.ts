/**
 * The model that the page is about, made here or opened from a file: what it is, what can be drawn
 * of it, and its file. Runs in the worker.
 */
import { Flow } from '@invnet/flows';
import { Bijection, countParameters, type Module, summary } from '@invnet/layers';
import { type Shape, sizeOf } from '@invnet/tensor';
import { checkpointBytes, modelFromBytes, modelInfo } from '@invnet/train';
import { inputKey, inputShapes } from './input-shape.ts';
import { networks } from './networks.ts';
import type { Config, Description, Drawable, ImageShape } from './protocol.ts';
import { Training } from './training.ts';

/** Under these keys of its metadata a file says how far, and on what, its model was trained. */
const stepKey = 'step';
const dataKey = 'data';

export class Model {
  /** As it was made or opened, and as it is saved. */
  readonly module: Module;
  /** The flow that it is or, with a normal base, is the network of; if any can be drawn. */
  readonly flow: Flow | undefined;
  /** The shape of its input without the batch, where it is known. */
  readonly input: Shape | undefined;
  readonly drawable: Drawable;
  /** Points of the plane can be trained on. */
  readonly training: Training | undefined;
  readonly #metadata: Readonly<Record<string, string>>;
  /** What it was made from, if here. */
  readonly #made: Config | undefined;

  private constructor(module: Module, metadata: Readonly<Record<string, string>>, made?: Config) {
    this.module = module;
    this.#metadata = metadata;
    this.#made = made;
    const network = module instanceof Flow ? module.network : module;
    const inputs = movesTensors(network) ? inputShapes(network, metadata[inputKey]) : [];
    this.input = inputs[0];
    this.drawable = drawableOf(network, inputs);
    if (this.drawable.kind === 'nothing' || !movesTensors(network)) return;
    this.flow = module instanceof Flow ? module : new Flow({ network });
    if (this.drawable.kind !== 'plane') return;
    const { parameters } = module;
    this.training = new Training(this.flow, parameters, inputs[0]!, storedPerPoint(made));
    this.training.step = wholeNumber(metadata[stepKey]);
  }

  /** A fresh one of the registry. */
  static make(config: Config): Model {
    const entry = networks[config.network];
    if (!entry) throw new RangeError(`There is no network '${config.network}' in this page.`);
    return new Model(new Flow({ network: entry.build(config) }), {}, config);
  }

  /**
   * The one of a file, with all that it may be made of, which is only then fetched.
   *
   * @throws CheckpointError, ConfigurationError, SafetensorsFormatError; nothing is left behind.
   */
  static async open(bytes: Uint8Array, file: string, made?: Config): Promise<Model> {
    const { flowCatalogue } = await import('./catalogue.ts');
    const module = modelFromBytes(bytes, { modules: flowCatalogue }, file);
    try {
      const model = new Model(module, modelInfo(bytes, file).metadata, made);
      model.training?.restoreOptimizer(bytes, file);
      return model;
    } catch (error) {
      module.dispose();
      throw error;
    }
  }

  get description(): Description {
    const { module, input, drawable, training } = this;
    return {
      type: module.type,
      parameters: countParameters(module),
      step: training?.step ?? 0,
      input,
      summary: summary(module, input && { input: [1, ...input] }),
      metadata: this.#metadata,
      drawable,
    };
  }

  /** Its file, of the whole model; with the optimizer's state, so that training goes on alike. */
  file(): Promise<Uint8Array<ArrayBuffer>> {
    const { parameters } = this.module;
    const optimizer = this.training?.optimizer;
    return checkpointBytes({ parameters, optimizer, metadata: this.#fileMetadata });
  }

  /** The model as its file has it, on the current backend, which may be another. */
  reopened(file: Uint8Array): Promise<Model> {
    return Model.open(file, 'the model', this.#made);
  }

  dispose(): void {
    this.training?.dispose();
    this.module.dispose();
  }

  /** All that its file said before, with the shape that was drawn, and its training here. */
  get #fileMetadata(): Record<string, string> {
    const { input, drawable, training } = this;
    return {
      ...this.#metadata,
      ...(input && drawable.kind !== 'nothing' && { [inputKey]: JSON.stringify(input) }),
      ...(training?.data && {
        [dataKey]: training.data.density,
        [stepKey]: String(training.step),
      }),
    };
  }
}

/** Is it a map of single tensors, with or without a context? */
function movesTensors(module: Module): module is Bijection {
  return module instanceof Bijection && module.stateSize === 1;
}

function drawableOf(network: Module, [input, ...others]: readonly Shape[]): Drawable {
  const nothing = (reason: string): Drawable => ({ kind: 'nothing', reason });
  if (!(network instanceof Bijection)) {
    return nothing(`A ${network.type} is not an invertible network, which is what can be drawn.`);
  }
  if (network.stateSize === 2) {
    return nothing(
      `A ${network.type} moves pairs of tensors; to be drawn it would have to move one.`,
    );
  }
  if (network.usesContext) {
    return nothing(
      'The network is conditional: its samples need a context, such as a measurement, which this ' +
        'page has none of. In a program: flow.sample({ shape, seed, context }).',
    );
  }
  if (!input) {
    return nothing(
      'The network takes none of the usual shapes. What it takes can be said when it is saved: ' +
        `saveModel(path, model, { metadata: { ${inputKey}: '[1,28,28]' } }).`,
    );
  }
  if (sizeOf(input) === 2) return { kind: 'plane' };
  if (isImage(input)) return { kind: 'images', shapes: [input, ...others.filter(isImage)] };
  return nothing(
    `The network takes samples of shape [${input.join(', ')}]; to be drawn it would have to take two ` +
      'numbers, or images of 1 or 3 channels.',
  );
}

function isImage(shape: Shape): shape is ImageShape {
  return shape.length === 3 && (shape[0] === 1 || shape[0] === 3);
}

/** Numbers per point that autodiff would keep, known of networks of the registry. */
function storedPerPoint(made: Config | undefined): number | undefined {
  return made && made.depth * networks[made.network]!.storedPerStep(made.width);
}

function wholeNumber(text: string | undefined): number {
  return /^\d{1,15}$/.test(text ?? '') ? Number(text) : 0;
}
