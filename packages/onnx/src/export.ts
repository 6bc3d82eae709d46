/**
 * Models as ONNX files. A copy of the model, made as from a file, runs once on a backend that records
 * (recorder.ts), and again with another number of samples: what differs depends on that number, which
 * is free in the file.
 *
 * Left out: reading ONNX files, quantization, and running them, which is what onnxruntime does.
 */
import { Flow } from '@invnet/flows';
import {
  activationTypes,
  BatchNorm,
  Bijection,
  Conditioner,
  Flag,
  isModuleType,
  Module,
  type ModuleType,
  namedParameters,
  type Pair,
  placesIn,
  requireModule,
  shapesIn,
} from '@invnet/layers';
import {
  checkShape,
  DTypeError,
  formatShape,
  formatValue,
  requireOneOf,
  requireOptions,
  type Shape,
  ShapeError,
  sizeOf,
  tidy,
  ValueError,
  withBackend,
} from '@invnet/tensor';
import { modelBytes, modelFromBytes, modelInfo } from '@invnet/train';
import { Graph } from './graph.ts';
import { onnxBytes } from './model.ts';
import { Recorder } from './recorder.ts';
import { type OnnxPart, type SampleShapes, Trace } from './trace.ts';

/** What can be exported. */
export type Exportable = Flow | Bijection | Bijection<Pair> | Conditioner;

const parts: readonly OnnxPart[] = ['forward', 'inverse', 'logProb', 'sample', 'gradients'];

/** What is exported, and for data of which shape. */
export interface ExportOptions {
  /**
   * The inputs and outputs of the file, by name; x and y of a pair are `x.0` and `x.1`, `y.0` and `y.1`.
   * Each takes `context` as well where the model has one.
   *
   * - `forward`: `x` to `y` and `logdet`, log|det ∂y/∂x| of each sample; of a conditioner, to `y`.
   * - `inverse`: `y` to `x` and `logdet`, log|det ∂x/∂y|.
   * - `logProb`, of a flow: `x` to `logProb`, in nats.
   * - `sample`, of a flow: latent variables `z`, drawn from its base, to `x`.
   * - `gradients`, of a flow: `x` and each trained parameter by its path to `loss`, −mean log p(x), and
   *   the gradient of each under `<path>.grad`.
   */
  readonly of: OnnxPart;
  /** The shape of one sample of data, x, without the batch; of a pair, both. */
  readonly shape: Shape | readonly [Shape, Shape];
  /** The shape of one sample's context; none by default. */
  readonly context?: Shape;
  /** Makes what `named` gave a name to, such as a physical operator, as for `loadModel`. */
  readonly named?: Readonly<Record<string, () => object>>;
}

/** Numbers of samples: primes, so that each divides what depends on it. */
const primes = [10007, 10009, 10037, 10039, 10061, 10067, 10069, 10079] as const;

/** So that numbers of numbers are exact, however often they are copied on the way. */
const mostNumbers = 2 ** 32;

/**
 * A part of a model as the bytes of an ONNX file: opset 18, float32, for any number of samples N. The
 * same model gives the same bytes. Parameters and buffers are in it by their paths.
 *
 * @throws ValueError for a layer that awaits data or takes statistics of the batch, and for a part that
 * the model has not. @throws ConfigurationError for a function in it without a name, or one whose name is
 * not among `named`. @throws BackendError, which names the layer, for what ONNX cannot hold: numbers read
 * on the way, as by an operator on arrays; `leapfrog`; what depends on the number of samples.
 * @throws DTypeError for a model in float64. @throws ShapeError for a shape that it does not take.
 * @example
 * await writeFile('density.onnx', await exportOnnx(flow, { of: 'logProb', shape: [1, 28, 28] }));
 */
export async function exportOnnx(
  model: Exportable,
  options: ExportOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  requireModule('exportOnnx', model);
  requireOptions('exportOnnx', options, ['of', 'shape', 'context', 'named']);
  const { of, named = {} } = options;
  requireOneOf('exportOnnx', 'of', of, parts);
  requirePart(model, of);
  requireSettled(model);
  const sample = sampleShapes(model, options);
  const bytes = await modelBytes(model);
  const loading = { modules: typesIn(model), named };
  const record = (batch: number, like?: Graph) => {
    const graph = new Graph(batch, like);
    using recorder = new Recorder(graph);
    withBackend(recorder, () =>
      tidy(() => {
        new Trace(recorder, graph).run(modelFromBytes(bytes, loading, 'the model'), of, sample);
      }),
    );
    return graph;
  };
  const [first, second] = batchesFor(model, sample);
  const graph = record(second, record(first));
  const { config } = modelInfo(bytes);
  return onnxBytes(graph, { 'invnet.of': of, 'invnet.model': JSON.stringify(config) });
}

/** @throws ValueError unless the model has the part. */
function requirePart(model: Module, of: OnnxPart): void {
  const isFlow = model instanceof Flow;
  const found = {
    forward: isFlow || model instanceof Bijection || model instanceof Conditioner,
    inverse: isFlow || model instanceof Bijection,
    logProb: isFlow,
    sample: isFlow,
    gradients: isFlow,
  };
  if (found[of]) return;
  const having = { forward: 'a network', inverse: 'an invertible network' } as const;
  const expected = of === 'forward' || of === 'inverse' ? `${having[of]}, or a Flow` : 'a Flow';
  throw new ValueError(`exportOnnx: a ${model.type} has no '${of}'; expected ${expected}.`);
}

/** @throws ValueError, DTypeError unless the model is a function of its input, in float32. */
function requireSettled(model: Module): void {
  for (const { path, module } of placesIn(model)) {
    const place = path === '' ? 'the model' : `'${path}'`;
    if (module instanceof BatchNorm && module.training) {
      throw new ValueError(
        `exportOnnx: ${place} is a BatchNorm in training mode, which depends on the other samples of a ` +
          'batch. Expected evaluation: model.training = false.',
      );
    }
    const flag = 'initialized' in module ? module.initialized : undefined;
    if (flag instanceof Flag && !flag.value && module.parameters.some((p) => !p.frozen)) {
      throw new ValueError(
        `exportOnnx: ${place} is an ${module.type} that no data have set. Expected a model that was ` +
          'trained, loaded or initialized.',
      );
    }
  }
  for (const [path, { data }] of namedParameters(model)) {
    if (data.dtype === 'float32') continue;
    throw new DTypeError(
      `exportOnnx: '${path}' is in ${data.dtype}; expected float32: save the model, and load it on a ` +
        'backend in float32.',
    );
  }
}

/** The shapes of a sample, copied. @throws ShapeError unless the model takes them. */
function sampleShapes(model: Exportable, { shape, context }: ExportOptions): SampleShapes {
  const op = 'exportOnnx';
  const network = model instanceof Flow ? model.network : model;
  const pair = Array.isArray(shape) && Array.isArray(shape[0]);
  const x = pair ? shapesIn(shape).map((s) => checkShape(op, s)) : [checkShape(op, shape as Shape)];
  const count = network instanceof Bijection ? network.stateSize : 1;
  if (x.length !== count) {
    throw new ShapeError(
      `${op}: shape is ${formatValue(shape)}; expected ${count === 1 ? 'one shape' : 'two shapes'}.`,
    );
  }
  const shapes = { x, context: context === undefined ? undefined : checkShape(op, context) };
  for (const sizes of [...x, shapes.context ?? []]) {
    if (sizeOf(sizes) <= mostNumbers) continue;
    throw new ShapeError(
      `${op}: a sample of ${formatShape(sizes)} is ${sizeOf(sizes)} numbers; expected ${mostNumbers} at most.`,
    );
  }
  return shapes;
}

/** Two numbers of samples that divide no size of the model or its data, which are then told apart. */
function batchesFor(model: Module, { x, context }: SampleShapes): readonly [number, number] {
  const sizes = [...x, context ?? [], ...model.parameters.map((p) => p.shape)].map(sizeOf);
  const [first = primes[0], second = primes[1]] = primes.filter((p) =>
    sizes.every((size) => size % p !== 0),
  );
  return [first, second];
}

/** The classes of all that the model is built from. */
function typesIn(model: Module): ModuleType[] {
  const types = new Set<ModuleType>(activationTypes);
  const seen = new Set<object>();
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof Module) {
      const made = value.constructor;
      if (isModuleType(made)) types.add(made);
      for (const { module } of placesIn(value)) visit(module);
      visit(value.options);
    } else if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
      for (const part of Object.values(value)) visit(part);
    }
  };
  visit(model);
  return [...types];
}
