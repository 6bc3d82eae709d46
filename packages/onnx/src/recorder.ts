/**
 * A backend that computes nothing: it writes down, as an ONNX graph, what it is asked to compute. So a
 * network that runs on it is exported by the code that it runs by, and new layers need none of their own.
 *
 * The set of operations is that of opset 18. Left out: fused passes, in place of which layers compose
 * their maps; optimizers; and numbers, of which there are none before the file runs.
 */
import {
  type Backend,
  BackendError,
  type BackendInfo,
  type BinaryOp,
  type Broadcast,
  type ConvActivation,
  type ConvGeometry,
  type DType,
  type MatmulGeometry,
  MemoryAccount,
  type ReduceOp,
  type Reduction,
  type Shape,
  type Storage,
  type Triple,
  type UnaryOp,
} from '@invnet/tensor';
import { axesOf, middleAxis } from './axes.ts';
import type { Graph, Value } from './graph.ts';

/** A value of the graph, or numbers that no node has needed so far. */
class Recorded implements Storage {
  readonly size: number;
  readonly dtype = 'float32';
  content: Value | Float32Array;

  constructor(size: number, content: Value | Float32Array) {
    this.size = size;
    this.content = content;
  }
}

export class Recorder implements Backend {
  readonly name = 'onnx';
  readonly dtypes: readonly DType[] = ['float32'];
  readonly memory = new MemoryAccount();
  readonly maxTensorBytes = Number.POSITIVE_INFINITY;
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  info(): BackendInfo {
    return { name: this.name, details: { opset: 18 } };
  }

  dispose(): void {
    this.memory.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A storage of a value of the graph. */
  storage(value: Value): Storage {
    return new Recorded(product(value.sizes), value);
  }

  /** The value of a storage in the graph. */
  valueOf(x: Storage): Value {
    const own = recorded(x);
    if (own.content instanceof Float32Array) own.content = this.#graph.floats(own.content);
    return own.content;
  }

  /** Lets a storage be a value from now on. */
  bind(x: Storage, value: Value): void {
    recorded(x).content = value;
  }

  upload(data: ArrayLike<number>): Storage {
    return new Recorded(data.length, Float32Array.from(data));
  }

  async read(x: Storage): Promise<Float32Array> {
    return this.readSync(x);
  }

  readSync(x: Storage): Float32Array {
    const { content } = recorded(x);
    if (content instanceof Float32Array) return content.slice();
    throw new BackendError(
      'exportOnnx: numbers are read here on the way (data or dataSync), and there are none while a ' +
        'network is recorded. Expected operations on tensors alone.',
    );
  }

  free(): void {}

  fill(size: number, value: number): Storage {
    const graph = this.#graph;
    return this.#made('Expand', [graph.float(value), graph.size(size)], [size]);
  }

  unary(op: UnaryOp, x: Storage, alpha: number, beta: number): Storage {
    const { name, sizes } = this.valueOf(x);
    return this.storage({ name: unaryNodes[op](this.#graph, name, alpha, beta), sizes });
  }

  binary(op: BinaryOp, a: Storage, b: Storage, { sizes, aStrides, bStrides }: Broadcast): Storage {
    const whole = bStrides.includes(0) ? a : b;
    const axes = axesOf(sizes, whole.size === product(sizes) ? this.valueOf(whole).sizes : sizes);
    const side = (x: Storage, strides: readonly number[]) =>
      this.#named(
        x,
        axes.sizes.map((size, i) => (strides[axes.within[i]!] === 0 ? 1 : size)),
      );
    const name = binaryNodes[op](this.#graph, side(a, aStrides), side(b, bStrides));
    return this.storage({ name, sizes: axes.sizes });
  }

  reduce(op: ReduceOp, x: Storage, { sizes: merged, reduced }: Reduction): Storage {
    const graph = this.#graph;
    const { sizes, within } = axesOf(merged, this.valueOf(x).sizes);
    const name = this.#named(x, sizes);
    const axes = sizes.flatMap((_, i) => (reduced[within[i]!] ? [i] : []));
    // Without axes ONNX would reduce over all of them.
    if (axes.length === 0) {
      const squared = op === 'sumSquares' ? graph.node('Mul', [name, name]) : name;
      return this.storage({ name: squared, sizes });
    }
    const kept = sizes.filter((_, i) => !axes.includes(i));
    return this.#made(reductions[op], [name, graph.ints(axes)], kept, { keepdims: 0 });
  }

  permute(x: Storage, sizes: readonly number[], axes: readonly number[]): Storage {
    const name = this.#graph.reshaped(this.valueOf(x), sizes);
    return this.#made('Transpose', [name], at(sizes, axes), { perm: axes });
  }

  slice(
    x: Storage,
    outer: number,
    axis: number,
    inner: number,
    start: number,
    length: number,
  ): Storage {
    const graph = this.#graph;
    const found = middleAxis([outer, axis, inner], this.valueOf(x).sizes);
    const where = [start, start + length, found.axis].map((number) => graph.ints([number]));
    const sizes = found.sizes.with(found.axis, length);
    return this.#made('Slice', [this.#named(x, found.sizes), ...where], sizes);
  }

  concat(
    parts: readonly Storage[],
    outer: number,
    lengths: readonly number[],
    inner: number,
  ): Storage {
    const { sizes, axis } = middleAxis([outer, lengths[0]!, inner], this.valueOf(parts[0]!).sizes);
    const names = parts.map((part, i) => this.#named(part, sizes.with(axis, lengths[i]!)));
    const length = lengths.reduce((a, b) => a + b, 0);
    return this.#made('Concat', names, sizes.with(axis, length), { axis });
  }

  matmul(a: Storage, b: Storage, g: MatmulGeometry): Storage {
    const side = (
      x: Storage,
      batched: boolean,
      transposed: boolean,
      rows: number,
      columns: number,
    ) => {
      const matrix = transposed ? [columns, rows] : [rows, columns];
      const name = this.#graph.reshaped(this.valueOf(x), batched ? [g.batch, ...matrix] : matrix);
      if (!transposed) return name;
      return this.#graph.node('Transpose', [name], { perm: batched ? [0, 2, 1] : [1, 0] });
    };
    const left = side(a, g.batchedA, g.transposeA, g.m, g.k);
    const right = side(b, g.batchedB, g.transposeB, g.k, g.n);
    const batched = g.batchedA || g.batchedB;
    return this.#made('MatMul', [left, right], batched ? [g.batch, g.m, g.n] : [g.m, g.n]);
  }

  conv(
    x: Storage,
    w: Storage,
    bias: Storage | undefined,
    activation: ConvActivation,
    g: ConvGeometry,
  ): Storage {
    const c = convolution(g);
    const operands = [this.#named(x, c.x), this.#named(w, c.w)];
    if (bias) operands.push(this.#named(bias, [g.outputChannels]));
    const y = this.#graph.node('Conv', operands, c.attributes);
    return activation === 'relu'
      ? this.#made('Relu', [y], c.y)
      : this.storage({ name: y, sizes: c.y });
  }

  convInputGrad(dy: Storage, w: Storage, relu: Storage | undefined, g: ConvGeometry): Storage {
    const c = convolution(g);
    const { strides, pads, kernel_shape: kernel } = c.attributes;
    // What strides that do not divide the input leave over.
    const rest = c.x.slice(2).map((size, i) => {
      const reached = (c.y[i + 2]! - 1) * strides[i]! - 2 * pads[i]! + kernel[i]!;
      return size - reached;
    });
    const attributes = { ...c.attributes, output_padding: rest };
    const operands = [this.#named(dy, c.y), this.#named(w, c.w)];
    const dx = this.#made('ConvTranspose', operands, c.x, attributes);
    if (!relu) return dx;
    const all = { sizes: [dx.size], aStrides: [1], bStrides: [1] };
    return this.binary('reluGrad', relu, dx, all);
  }

  /** A convolution over samples as channels, whose kernel is the gradient of the result. */
  convFilterGrad(x: Storage, dy: Storage, g: ConvGeometry): Storage {
    const graph = this.#graph;
    const c = convolution(g);
    const perm = c.x.map((_, i) => [1, 0][i] ?? i);
    const turned = (name: string) => graph.node('Transpose', [name], { perm });
    const { strides, pads, kernel_shape: kernel } = c.attributes;
    const dw = graph.node('Conv', [turned(this.#named(x, c.x)), turned(this.#named(dy, c.y))], {
      dilations: strides,
      pads,
    });
    const axes = kernel.map((_, i) => i + 2);
    const start = axes.map(() => 0);
    const where = [start, kernel, axes].map((list) => graph.ints(list));
    return this.#made('Transpose', [graph.node('Slice', [dw, ...where])], c.w, { perm });
  }

  accumulate(target: Storage, x: Storage, alpha: number): void {
    const value = this.valueOf(target);
    const scaled = unaryNodes.affine(this.#graph, this.#named(x, value.sizes), alpha, 0);
    this.bind(target, { ...value, name: this.#graph.node('Add', [value.name, scaled]) });
  }

  assign(target: Storage, x: Storage): void {
    recorded(target).content = recorded(x).content;
  }

  adam(): void {
    throw new BackendError(
      'exportOnnx: an optimizer updates parameters here. Expected a network alone; of: ' +
        "'gradients' exports the loss and its gradients.",
    );
  }

  #named(x: Storage, sizes: Shape): string {
    return this.#graph.reshaped(this.valueOf(x), sizes);
  }

  #made(...[type, inputs, sizes, attributes]: MadeBy): Storage {
    return this.storage({ name: this.#graph.node(type, inputs, attributes), sizes });
  }
}

type NodeArguments = Parameters<Graph['node']>;
type MadeBy = [
  type: NodeArguments[0],
  inputs: NodeArguments[1],
  sizes: Shape,
  attributes?: NodeArguments[2],
];

type UnaryNode = (graph: Graph, x: string, alpha: number, beta: number) => string;

const plain =
  (type: string): UnaryNode =>
  (graph, x) =>
    graph.node(type, [x]);

const unaryNodes: Readonly<Record<UnaryOp, UnaryNode>> = {
  abs: plain('Abs'),
  affine: (graph, x, alpha, beta) => {
    const scaled = alpha === 1 ? x : graph.node('Mul', [x, graph.float(alpha)]);
    return beta === 0 ? scaled : graph.node('Add', [scaled, graph.float(beta)]);
  },
  exp: plain('Exp'),
  leakyRelu: (graph, x, alpha) => graph.node('LeakyRelu', [x], { alpha: { real: alpha } }),
  log: plain('Log'),
  neg: plain('Neg'),
  power: (graph, x, alpha) => graph.node('Pow', [x, graph.float(alpha)]),
  reciprocal: plain('Reciprocal'),
  relu: plain('Relu'),
  sigmoid: plain('Sigmoid'),
  sign: plain('Sign'),
  softplus: plain('Softplus'),
  sqrt: plain('Sqrt'),
  square: (graph, x) => graph.node('Mul', [x, x]),
  tanh: plain('Tanh'),
};

type BinaryNode = (graph: Graph, a: string, b: string) => string;

const both =
  (type: string): BinaryNode =>
  (graph, a, b) =>
    graph.node(type, [a, b]);

const binaryNodes: Readonly<Record<BinaryOp, BinaryNode>> = {
  add: both('Add'),
  div: both('Div'),
  max: both('Max'),
  min: both('Min'),
  mul: both('Mul'),
  sub: both('Sub'),
  reluGrad: (graph, a, b) => {
    const zero = graph.float(0);
    return graph.node('Where', [graph.node('Greater', [a, zero]), b, zero]);
  },
  sigmoidGrad: (graph, a, b) => {
    const rest = graph.node('Sub', [graph.float(1), a]);
    return graph.node('Mul', [b, graph.node('Mul', [a, rest])]);
  },
  tanhGrad: (graph, a, b) => {
    const slope = graph.node('Sub', [graph.float(1), graph.node('Mul', [a, a])]);
    return graph.node('Mul', [b, slope]);
  },
};

const reductions = { max: 'ReduceMax', sum: 'ReduceSum', sumSquares: 'ReduceSumSquare' } as const;

/** Shapes and attributes of a convolution, with as many spatial axes as it has, one at least. */
function convolution(g: ConvGeometry) {
  let unused = 0;
  while (unused < 2 && [g.input, g.output, g.kernel].every((sizes) => sizes[unused] === 1)) {
    unused += 1;
  }
  const used = (sizes: Triple) => sizes.slice(unused);
  const padding = used(g.padding);
  return {
    x: [g.batch, g.inputChannels, ...used(g.input)],
    w: [g.outputChannels, g.inputChannels, ...used(g.kernel)],
    y: [g.batch, g.outputChannels, ...used(g.output)],
    attributes: {
      kernel_shape: used(g.kernel),
      strides: used(g.stride),
      pads: [...padding, ...padding],
    },
  };
}

function recorded(x: Storage): Recorded {
  if (x instanceof Recorded) return x;
  throw new BackendError('onnx: got a storage of another backend; expected one of the recorder.');
}

function product(sizes: Shape): number {
  return sizes.reduce((a, b) => a * b, 1);
}

function at(sizes: Shape, axes: readonly number[]): number[] {
  return axes.map((axis) => sizes[axis]!);
}
