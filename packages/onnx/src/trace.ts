/**
 * One run of a part of a model on a recorder: its inputs, its weights by their paths, and its outputs.
 *
 * Left out: whether the model may be exported (export.ts), and what is recorded (recorder.ts).
 */
import { Flow } from '@invnet/flows';
import {
  Bijection,
  Conditioner,
  type Module,
  namedBuffers,
  namedParameters,
  type State,
  shapesIn,
  TensorBuffer,
  tensorsOf,
} from '@invnet/layers';
import { full, mul, neg, type Shape, sum, Tensor } from '@invnet/tensor';
import { FLOAT, type Graph, type Value } from './graph.ts';
import type { Recorder } from './recorder.ts';

/** Parts of a model, one of which a file computes. */
export type OnnxPart = 'forward' | 'inverse' | 'logProb' | 'sample' | 'gradients';

/** Shapes of one sample: of x, one or those of a pair, and of the context. */
export interface SampleShapes {
  readonly x: readonly Shape[];
  readonly context: Shape | undefined;
}

/** Names of inputs and outputs, which weights do not take. */
const ends = ['x', 'y', 'z', 'context', 'logdet', 'logProb', 'loss'];
const reserved = ends.flatMap((name) => [name, `${name}.0`, `${name}.1`]);

/** Records a part of a model that lives on the recorder. */
export class Trace {
  readonly #recorder: Recorder;
  readonly #graph: Graph;

  constructor(recorder: Recorder, graph: Graph) {
    this.#recorder = recorder;
    this.#graph = graph;
    for (const name of reserved) graph.claim(name);
  }

  /** @param model - One that has the part. */
  run(model: Module, of: OnnxPart, { x: shapes, context: contextShape }: SampleShapes): void {
    const network = model instanceof Flow ? model.network : model;
    const data = shapes.map((shape) => this.#batched(shape));
    const backwards = of === 'inverse' || of === 'sample';
    const from = { forward: 'x', inverse: 'y', logProb: 'x', sample: 'z', gradients: 'x' }[of];
    const start = this.#input(from, backwards ? latentShapes(network, data) : data);
    const context =
      contextShape && this.#tensor(this.#graph.input('context', this.#batched(contextShape)));
    this.#bindWeights(model, of === 'gradients');
    if (model instanceof Flow && start instanceof Tensor && of === 'logProb') {
      this.#output('logProb', model.logProb(start, context));
    } else if (model instanceof Flow && start instanceof Tensor && of === 'gradients') {
      this.#outputGradients(model, start, context);
    } else if (network instanceof Conditioner && start instanceof Tensor) {
      this.#output('y', network.forward(start, context).y);
    } else if (network instanceof Bijection && backwards) {
      const { x, logdet } = network.inverse(start, context);
      this.#output('x', x);
      if (of === 'inverse') this.#output('logdet', logdet);
    } else if (network instanceof Bijection) {
      const { y, logdet } = network.forward(start, context);
      this.#output('y', y);
      this.#output('logdet', logdet);
    }
  }

  /** As `negativeLogLikelihood`, of the sum over samples, which N divides in the graph. */
  #outputGradients(flow: Flow, x: Tensor, context: Tensor | undefined) {
    const { z, logProb } = flow.forward(x, context);
    const loss = neg(sum(logProb));
    flow.backward(z, full([this.#graph.batch], -1, x), context);
    const samples = this.#graph.node('Cast', [this.#graph.samples()], { to: FLOAT });
    const share = this.#tensor({ name: this.#graph.node('Reciprocal', [samples]), sizes: [1] });
    this.#output('loss', mul(loss, share).reshape([]));
    for (const { name, grad, shape } of flow.parameters) {
      if (!grad) continue;
      this.#output(this.#graph.claim(`${name}.grad`), mul(grad, share).reshape(shape));
    }
  }

  /** Weights are constants by their paths; those that are trained are inputs, where asked for. */
  #bindWeights(model: Module, trainedAsInputs: boolean): void {
    for (const [path, { data, frozen }] of namedParameters(model)) {
      if (trainedAsInputs && !frozen) {
        this.#recorder.bind(data.storage, this.#graph.input(this.#graph.claim(path), data.shape));
      } else this.#bindConstant(path, data);
    }
    for (const [path, buffer] of namedBuffers(model)) {
      if (buffer instanceof TensorBuffer) this.#bindConstant(path, buffer.data);
    }
  }

  #bindConstant(path: string, { storage, shape }: Tensor): void {
    const values = this.#recorder.readSync(storage);
    this.#recorder.bind(storage, this.#graph.weights(path, shape, values));
  }

  #input(name: string, shapes: readonly Shape[]): State {
    const [first, second] = shapes.map((sizes, i) =>
      this.#tensor(this.#graph.input(partName(name, i, shapes.length), sizes)),
    );
    return second ? [first!, second] : first!;
  }

  #output(name: string, state: State): void {
    const tensors = tensorsOf(state);
    tensors.forEach(({ shape, storage }, i) => {
      const value = this.#graph.reshaped(this.#recorder.valueOf(storage), shape);
      this.#graph.output(partName(name, i, tensors.length), { name: value, sizes: shape });
    });
  }

  #tensor(value: Value): Tensor {
    return new Tensor(value.sizes, this.#recorder, this.#recorder.storage(value));
  }

  #batched(shape: Shape): Shape {
    return [this.#graph.batch, ...shape];
  }
}

/** The shapes of what a network makes of data. */
function latentShapes(network: Module, data: readonly Shape[]): readonly Shape[] {
  if (!(network instanceof Bijection)) return data;
  const [first, second] = data;
  return shapesIn(network.outputShape(second ? [first!, second] : first!));
}

/** What one tensor of a state is called; a pair's are numbered. */
function partName(name: string, i: number, count: number): string {
  return count === 1 ? name : `${name}.${i}`;
}
