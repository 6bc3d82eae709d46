/**
 * A network as a graph of modules. Mathematics: docs/math/networks/graph.md
 *
 * Here stands its contract, on records of tensors and on single ones that hold them; how nodes are joined is in
 * wiring.ts, and how they are walked along in walk.ts.
 */
import {
  asMethod,
  type BackwardOptions,
  Bijection,
  type Conditioner,
  type Options,
  type Pair,
  requireModuleOptions,
  type Tangent,
} from '@invnet/layers';
import {
  clone,
  requireOneOf,
  requireOptions,
  requireTensor,
  type Shape,
  sum,
  type Tensor,
} from '@invnet/tensor';
import {
  type Graph,
  gradientsOf,
  tangentsOf,
  valuesOf,
  valuesWithin,
  type Way,
} from './evaluation.ts';
import { LogdetGradients } from './logdets.ts';
import type { GraphNode, ModuleNode } from './nodes.ts';
import {
  type EndTensors,
  type GraphBackwardOptions,
  type GraphDerivatives,
  type GraphTangent,
  packed,
  packedShape,
  requirePacked,
  type Tensors,
  tensorsAt,
  unpacked,
} from './records.ts';
import { moduleShapes } from './shapes.ts';
import { perSampleAt, type Records, startOfPacked, startOfRecords } from './starts.ts';
import { type End, type Wiring, wired } from './wiring.ts';

/** Ends of a graph. */
export type GraphSide = 'inputs' | 'outputs' | 'conditions';

/**
 * A graph of bijections, with any number of inputs and outputs (Ardizzone et al., "Analyzing inverse problems with
 * invertible neural networks", 2019; `GraphINN` of FrEIA). Nodes split states, join them, or move them, two at once
 * as well; and they see conditions, features of conditions, or states elsewhere. `graph()` builds one line by line.
 *
 * As a `Bijection` it maps one tensor to one: the only input, or vectors [N, Σ sizes] that hold all of them, as `pack`
 * makes them. So do outputs, and conditions, which are the context. `forwardAll` and its like take records and
 * give records, with log-determinants in parts.
 *
 * Backwards states are recomputed, in the opposite order, and each is freed with its last reader: memory does not grow
 * with the number of nodes. Modules are parts by the names of their nodes.
 *
 * @example
 * const g = graph();
 * const x = g.input('x', [4]);
 * const c = g.condition('c', [3]);
 * const [a, b] = g.split('halve', x, { sizes: [2, 2] });
 * const coupling = new BasicCoupling({ channels: [2, 2], contextChannels: 3, ndims: 0 });
 * const [kept, moved] = g.node('couple', [a, b], coupling, { conditions: [c] });
 * g.output('kept', kept);
 * g.output('moved', moved);
 * const network = g.build();
 * const { outputs, logdet } = network.forwardAll({ x: data }, { c: condition });
 */
export class GraphNetwork extends Bijection {
  static readonly type: string = 'GraphNetwork';
  /** The modules by the names of their nodes. */
  readonly inner: Readonly<Record<string, Bijection | Bijection<Pair> | Conditioner>>;
  readonly #wiring: Wiring;

  /**
   * @throws ValueError, ShapeError that names the node: for a cycle, an output that goes nowhere or to two nodes, a
   * name that nothing has or two have, or a shape that a module does not take.
   */
  constructor(options: { readonly nodes: readonly GraphNode[] }) {
    super();
    requireModuleOptions('GraphNetwork', options, ['nodes']);
    this.#wiring = wired(options.nodes);
    this.inner = Object.fromEntries(
      this.#wiring.nodes.flatMap((node) => ('module' in node ? [[node.name, node.module]] : [])),
    );
  }

  get options(): Options {
    return { nodes: this.nodes };
  }

  /** The graph as plain data, with the modules that it has now. */
  get nodes(): readonly GraphNode[] {
    return this.#wiring.nodes.map((node) =>
      'module' in node ? ({ ...node, module: this.inner[node.name] } as GraphNode) : node,
    );
  }

  override get usesContext(): boolean {
    return this.#wiring.conditions.length > 0;
  }

  /** The shapes of a sample of all that nodes take and give, by name: `x`, `halve.0`, `halve.1`, …, `y`. */
  get shapes(): Readonly<Record<string, Shape>> {
    const { shapes, outputs } = this.#wiring;
    return Object.fromEntries([
      ...[...shapes].map(([{ name }, shape]) => [name, shape] as const),
      ...outputs.map(({ name, shape }) => [name, shape] as const),
    ]);
  }

  /**
   * The outputs, log|det ∂outputs/∂inputs| per sample, [N], and of each output the part of it that its path has: the sum
   * over the nodes through which it comes, which is the log-determinant of these nodes alone, their conditions held.
   * The parts add up to the whole only where no node leads to two outputs.
   */
  forwardAll(
    inputs: Tensors,
    conditions?: Tensors,
  ): { outputs: Tensors; logdet: Tensor; logdets: Tensors } {
    const records = { states: inputs, conditions };
    const { states, ...rest } = this.#values('forwardAll', 'forward', records);
    return { outputs: states, ...rest };
  }

  /** The inputs, the log-determinant of the inverse map, and of each input the part that its path has. */
  inverseAll(
    outputs: Tensors,
    conditions?: Tensors,
  ): { inputs: Tensors; logdet: Tensor; logdets: Tensors } {
    const records = { states: outputs, conditions };
    const { states, ...rest } = this.#values('inverseAll', 'inverse', records);
    return { inputs: states, ...rest };
  }

  /**
   * Recomputes the inputs from the outputs. Of a loss's `gradients` with respect to outputs, where those left out
   * are zero, makes those with respect to inputs and conditions, and adds to each parameter's grad.
   */
  backwardAll(
    outputs: Tensors,
    gradients: Tensors,
    options: GraphBackwardOptions = {},
  ): { inputs: Tensors; gradients: Tensors; dconditions: Tensors } {
    const op = 'backwardAll';
    const { states, ...rest } = this.#gradients(op, 'inverse', outputs, gradients, options);
    return { inputs: states, ...rest };
  }

  /** The same of the inverse map: recomputes the outputs from the inputs. */
  backwardInverseAll(
    inputs: Tensors,
    gradients: Tensors,
    options: GraphBackwardOptions = {},
  ): { outputs: Tensors; gradients: Tensors; dconditions: Tensors } {
    const op = 'backwardInverseAll';
    const { states, ...rest } = this.#gradients(op, 'forward', inputs, gradients, options);
    return { outputs: states, ...rest };
  }

  /** As `forwardAll`, with derivatives along a direction in inputs, parameters and conditions. */
  jvpAll(
    inputs: Tensors,
    tangent: GraphTangent,
    conditions?: Tensors,
  ): { outputs: Tensors } & GraphDerivatives {
    const { states, ...rest } = this.#tangents('jvpAll', 'forward', inputs, tangent, conditions);
    return { outputs: states, ...rest };
  }

  /** As `inverseAll`, with derivatives along a direction in outputs, parameters and conditions. */
  jvpInverseAll(
    outputs: Tensors,
    tangent: GraphTangent,
    conditions?: Tensors,
  ): { inputs: Tensors } & GraphDerivatives {
    const op = 'jvpInverseAll';
    const { states, ...rest } = this.#tangents(op, 'inverse', outputs, tangent, conditions);
    return { inputs: states, ...rest };
  }

  /**
   * All states and features on the way of `forwardAll`, by the names of the nodes that give them, `halve.0` and
   * `halve.1` where one gives several; and the log-determinant of each module. The way back has the same states.
   */
  intermediate(inputs: Tensors, conditions?: Tensors): { values: Tensors; logdets: Tensors } {
    return asMethod(this, () => {
      const records = { states: inputs, conditions };
      const start = startOfRecords('GraphNetwork.intermediate', this.#wiring, 'forward', records);
      return valuesWithin(this.#graph, start);
    });
  }

  /** The one tensor that holds all inputs, outputs or conditions, as `forward` and its like take it. */
  pack(side: GraphSide, tensors: Tensors): Tensor {
    return asMethod(this, () => {
      const check = { op: 'GraphNetwork.pack', what: side };
      const held = tensorsAt(this.#endsAt('pack', side), tensors, check);
      return held.length === 1 ? clone(held[0]![1]) : packed(held);
    });
  }

  /** The inputs, outputs or conditions that one tensor holds. */
  unpack(side: GraphSide, whole: Tensor): Tensors {
    return asMethod(this, () => {
      const ends = this.#endsAt('unpack', side);
      requirePacked('GraphNetwork.unpack', ends, requireTensor('GraphNetwork.unpack', whole).shape);
      return recordOf(unpacked(ends, ends.length === 1 ? clone(whole) : whole));
    });
  }

  protected apply(x: Tensor, context?: Tensor) {
    const start = startOfPacked(this.#wiring, 'forward', x, { context });
    const { states, logdet } = valuesOf(this.#graph, 'forward', start);
    return { y: packed(states), logdet };
  }

  protected invert(y: Tensor, context?: Tensor) {
    const start = startOfPacked(this.#wiring, 'inverse', y, { context });
    const { states, logdet } = valuesOf(this.#graph, 'inverse', start);
    return { x: packed(states), logdet };
  }

  protected applyBackward(y: Tensor, dy: Tensor, options: BackwardOptions) {
    const { state, gradient, ...rest } = this.#packedGradients('inverse', y, dy, options);
    return { x: state, dx: gradient, ...rest };
  }

  protected invertBackward(x: Tensor, dx: Tensor, options: BackwardOptions) {
    const { state, gradient, ...rest } = this.#packedGradients('forward', x, dx, options);
    return { y: state, dy: gradient, ...rest };
  }

  protected applyTangent(x: Tensor, tangent: Tangent, context?: Tensor) {
    const { state, direction, ...rest } = this.#packedTangents('forward', x, tangent, context);
    return { y: state, dy: direction, ...rest };
  }

  protected invertTangent(y: Tensor, tangent: Tangent, context?: Tensor) {
    const { state, direction, ...rest } = this.#packedTangents('inverse', y, tangent, context);
    return { x: state, dx: direction, ...rest };
  }

  protected override applyShape(x: Shape): Shape {
    const { inputs, outputs, steps, shapes } = this.#wiring;
    requirePacked(this.type, inputs, x);
    // What lists the shapes of all modules sees them asked.
    for (const { node, inputs: read } of steps) {
      if (node.kind !== 'module') continue;
      const module = this.inner[node.name] as ModuleNode['module'];
      moduleShapes(
        module,
        read.map((edge) => [x[0]!, ...shapes.get(edge)!]),
      );
    }
    return packedShape(outputs, x[0]!);
  }

  protected override invertShape(y: Shape): Shape {
    requirePacked(this.type, this.#wiring.outputs, y);
    return packedShape(this.#wiring.inputs, y[0]!);
  }

  get #graph(): Graph {
    return { wiring: this.#wiring, modules: this.inner };
  }

  #endsAt(method: string, side: GraphSide): readonly End[] {
    requireOneOf(`GraphNetwork.${method}`, 'side', side, ['inputs', 'outputs', 'conditions']);
    return this.#wiring[side];
  }

  #values(method: string, way: Way, records: Records) {
    return asMethod(this, () => {
      const start = startOfRecords(`GraphNetwork.${method}`, this.#wiring, way, records);
      const { states, logdet, logdets } = valuesOf(this.#graph, way, start);
      return { states: recordOf(states), logdet, logdets: recordOf(logdets) };
    });
  }

  #gradients(
    method: string,
    way: Way,
    states: Tensors,
    gradients: Tensors,
    options: GraphBackwardOptions,
  ) {
    return asMethod(this, () => {
      const op = `GraphNetwork.${method}`;
      requireOptions(op, options, ['dlogdet', 'dlogdets', 'conditions']);
      const { dlogdet, dlogdets = {}, conditions } = options;
      const records = { states, alongs: gradients, conditions };
      const start = startOfRecords(op, this.#wiring, way, records);
      const parts = perSampleAt(op, start.states, { dlogdet, dlogdets });
      const made = gradientsOf(this.#graph, way, start, new LogdetGradients(dlogdet, parts));
      const dconditions = made.dconditions.map(([end, t]) => {
        const shared = conditions?.[end.name]?.shape[0] !== t.shape[0];
        return [end, shared ? sum(t, { axes: [0], keepDims: true }) : t] as const;
      });
      return {
        states: recordOf(made.states),
        gradients: recordOf(made.gradients),
        dconditions: recordOf(dconditions),
      };
    });
  }

  #tangents(
    method: string,
    way: Way,
    states: Tensors,
    tangent: GraphTangent,
    conditions: Tensors | undefined,
  ) {
    return asMethod(this, () => {
      const op = `GraphNetwork.${method}`;
      requireOptions(op, tangent, ['states', 'parameters', 'conditions']);
      const { states: alongs, parameters, conditions: moved } = tangent;
      const start = startOfRecords(op, this.#wiring, way, { states, alongs, conditions, moved });
      const made = tangentsOf(this.#graph, way, start, parameters);
      return {
        states: recordOf(made.states),
        directions: recordOf(made.directions),
        logdet: made.logdet,
        dlogdet: made.dlogdet,
        logdets: recordOf(made.logdets),
        dlogdets: recordOf(made.dlogdets),
      };
    });
  }

  #packedGradients(way: Way, state: Tensor, along: Tensor, options: BackwardOptions) {
    const { dlogdet, context } = options;
    const start = startOfPacked(this.#wiring, way, state, { along, context });
    const made = gradientsOf(this.#graph, way, start, new LogdetGradients(dlogdet));
    return {
      state: packed(made.states),
      gradient: packed(made.gradients),
      ...(this.usesContext && { dcontext: packed(made.dconditions) }),
    };
  }

  #packedTangents(way: Way, state: Tensor, tangent: Tangent, context: Tensor | undefined) {
    const { x: along, parameters, context: moved } = tangent;
    const start = startOfPacked(this.#wiring, way, state, { along, context, moved });
    const made = tangentsOf(this.#graph, way, start, parameters);
    return {
      state: packed(made.states),
      direction: packed(made.directions),
      logdet: made.logdet,
      dlogdet: made.dlogdet,
    };
  }
}

function recordOf(tensors: EndTensors): Tensors {
  return Object.fromEntries(tensors.map(([{ name }, t]) => [name, t]));
}
