/** Builds a graph line by line. */
import type { Bijection, Conditioner, Pair } from '@invnet/layers';
import { formatValue, requireList, requireOptions, type Shape, ValueError } from '@invnet/tensor';
import { GraphNetwork } from './graph-network.ts';
import { checkedNode, type GraphNode, labelOf, namesGivenBy } from './nodes.ts';
import { shapesGivenBy } from './shapes.ts';

/** A state of a graph that is being built: what one node gives, and one may take. */
export interface StatePort {
  readonly kind: 'state';
  /** As nodes of plain data refer to it. */
  readonly name: string;
  /** Of a sample. */
  readonly shape: Shape;
}

/** A condition, or a feature of conditions, which any number of nodes may see. */
export interface ConditionPort {
  readonly kind: 'condition';
  readonly name: string;
  readonly shape: Shape;
}

/** Anything that a node gives. */
export type GraphPort = StatePort | ConditionPort;

/** What goes with a node. */
export interface NodeOptions {
  /** Conditions, features or other states; several are joined along the channels, to one context. Default: none. */
  readonly conditions?: readonly GraphPort[];
}

/** How a state is parted. */
export interface SplitOptions<S extends readonly number[] = readonly number[]> {
  /** Of the parts. */
  readonly sizes: S;
  /** The batch counted. Default: 1, the channels. */
  readonly axis?: number;
}

/** An empty graph. See `GraphNetwork` for an example. */
export function graph(): GraphBuilder {
  return new GraphBuilder();
}

/**
 * A graph that is being built. Each method adds a node of a new name, and gives the ports of what comes out of it.
 *
 * @throws ValueError, ShapeError that names the node, as soon as it can be told; the rest `build` finds.
 */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #ports = new Map<string, GraphPort>();

  /** A state that comes from outside, of a shape per sample: `[channels, …]`. */
  input(name: string, shape: Shape): StatePort {
    return this.#add({ kind: 'input', name, shape }, 'state')[0]!;
  }

  /** A condition that comes from outside, of a shape per sample. */
  condition(name: string, shape: Shape): ConditionPort {
    return this.#add({ kind: 'condition', name, shape }, 'condition')[0]!;
  }

  /** A bijection that moves a state, or two at once. */
  node(name: string, input: StatePort, module: Bijection, options?: NodeOptions): StatePort;
  node(
    name: string,
    inputs: readonly [StatePort, StatePort],
    module: Bijection<Pair>,
    options?: NodeOptions,
  ): readonly [StatePort, StatePort];
  node(
    name: string,
    input: StatePort | readonly [StatePort, StatePort],
    module: Bijection | Bijection<Pair>,
    options: NodeOptions = {},
  ): StatePort | readonly StatePort[] {
    const inputs = Array.isArray(input) ? (input as readonly StatePort[]) : [input as StatePort];
    const read = { inputs: this.#names(name, inputs), conditions: this.#conditions(name, options) };
    const ports = this.#add({ kind: 'module', name, ...read, module }, 'state');
    return Array.isArray(input) ? ports : ports[0]!;
  }

  /** A block of conditions, features or states, joined along the channels; its result is a feature. */
  feature(
    name: string,
    input: GraphPort | readonly GraphPort[],
    module: Conditioner,
    options: NodeOptions = {},
  ): ConditionPort {
    const inputs = Array.isArray(input) ? (input as readonly GraphPort[]) : [input as GraphPort];
    const read = { inputs: this.#names(name, inputs), conditions: this.#conditions(name, options) };
    return this.#add({ kind: 'feature', name, ...read, module }, 'condition')[0]!;
  }

  /** The parts of a state along an axis. */
  split<const S extends readonly number[]>(
    name: string,
    input: StatePort,
    options: SplitOptions<S>,
  ): { readonly [K in keyof S]: StatePort };
  split(name: string, input: StatePort, options: SplitOptions): readonly StatePort[] {
    requireOptions(labelOf({ name }), options, ['sizes', 'axis']);
    const inputs = this.#names(name, [input]);
    return this.#add({ kind: 'split', name, inputs, ...options }, 'state');
  }

  /** States behind each other along an axis. */
  concat(
    name: string,
    inputs: readonly StatePort[],
    options: { readonly axis?: number } = {},
  ): StatePort {
    requireOptions(labelOf({ name }), options, ['axis']);
    return this.#add(
      { kind: 'concat', name, inputs: this.#names(name, inputs), ...options },
      'state',
    )[0]!;
  }

  /** What the graph gives under a name. */
  output(name: string, input: StatePort): void {
    this.#add({ kind: 'output', name, inputs: this.#names(name, [input]) }, 'state');
  }

  /** The network. */
  build(): GraphNetwork {
    return new GraphNetwork({ nodes: this.#nodes });
  }

  #add<K extends GraphPort['kind']>(
    given: GraphNode,
    kind: K,
  ): readonly Extract<GraphPort, { kind: K }>[] {
    const node = checkedNode(given);
    if (this.#nodes.some(({ name }) => name === node.name)) {
      throw new ValueError(`${labelOf(node)}: there is one already; expected a name of its own.`);
    }
    const shapesOf = (names: readonly string[]) =>
      names.map((name) => this.#ports.get(name)!.shape);
    const shapes = shapesGivenBy(node, {
      inputs: shapesOf('inputs' in node ? node.inputs : []),
      conditions: shapesOf('conditions' in node ? (node.conditions ?? []) : []),
    });
    const ports = namesGivenBy(node).map((name, i) => ({ kind, name, shape: shapes[i]! }));
    this.#nodes.push(node);
    for (const port of ports) this.#ports.set(port.name, port as GraphPort);
    return ports as Extract<GraphPort, { kind: K }>[];
  }

  #conditions(name: string, options: NodeOptions): readonly string[] {
    requireOptions(labelOf({ name }), options, ['conditions']);
    return this.#names(name, options.conditions ?? []);
  }

  #names(name: string, ports: readonly GraphPort[]): readonly string[] {
    requireList(labelOf({ name }), 'the list of what it reads', ports);
    return ports.map((port) => {
      if (this.#ports.get(port?.name) === port) return port.name;
      throw new ValueError(
        `${labelOf({ name })}: it reads ${formatValue(port)}; expected a port that this graph gave.`,
      );
    });
  }
}
